import { describe, expect, it } from 'vitest';
import type { CommandArgs } from '../../../../src/fibric/commands/index.ts';
import { conversationStatusWrite as action } from '../../../../src/sinks/actions/conversation-status-write.ts';
import { CONVERSATION, NOW_MS } from '../../fibric/commands/samples.ts';
import { iso, one, planning, readingBack } from './sights.ts';

type Args = CommandArgs<'conversation.status.write'>;

const DONE: Args = { conversation_id: CONVERSATION, status: 'done', snooze_until: null };
const UNTIL = '2026-04-01T02:00:00+02:00';
const SNOOZED: Args = { ...DONE, status: 'snoozed', snooze_until: UNTIL };

const conversation = (attributes: object) => ({ conversation: one('conversation', CONVERSATION, attributes) });

describe('a status', () => {
  it('is decided on what was read, and bound to its revision (A1)', () => {
    expect(action.plan(DONE, planning())).toMatchObject({ do: 'read', read: { shape: 'one', mayBeAbsent: false } });
    expect(action.plan(DONE, planning(conversation({ status: 'open', rev: 7 })))).toEqual({
      do: 'write',
      request: {
        operation: 'conversation.status.update',
        method: 'PATCH',
        path: ['conversations', CONVERSATION],
        body: { status: 'done', rev: 7 },
        permission: 'org.permission.conversation.update',
      },
      basis: { rev: 7, changedAtMs: null },
    });
    const modificationHistory = { statusAt: iso(NOW_MS), assignedUsersAt: iso(NOW_MS + 1) };
    const told = (attributes: object) => action.plan(DONE, planning(conversation({ status: 'open', ...attributes })));
    expect(told({ modificationHistory })).toMatchObject({ basis: { rev: null, changedAtMs: NOW_MS } });
    expect(told({ modificationHistory: {} })).toMatchObject({ basis: { rev: null, changedAtMs: 0 } });
    const without = action.plan(DONE, planning(conversation({ status: 'open' })));
    expect(without).toMatchObject({
      do: 'write',
      basis: { rev: null, changedAtMs: null },
      request: { body: { status: 'done' } },
    });
    expect(JSON.stringify(without)).not.toContain('"rev":0');
  });

  it('is not written when it is so already (A2)', () => {
    const snooze = { status: 'scheduled', time: '2026-04-01T00:00:00.000Z' };
    const nothing = { do: 'nothing', vendorId: CONVERSATION };
    expect(action.plan(DONE, planning(conversation({ status: 'done', rev: 7 })))).toEqual(nothing);
    expect(action.plan(SNOOZED, planning(conversation({ status: 'snoozed', snooze, rev: 7 })))).toEqual(nothing);
    for (const other of [{ ...snooze, time: iso(NOW_MS) }, { ...snooze, status: 'elapsed' }, {}, null]) {
      const step = action.plan(SNOOZED, planning(conversation({ status: 'snoozed', snooze: other, rev: 7 })));
      expect(step).toMatchObject({
        do: 'write',
        request: { body: { status: 'snoozed', snooze: { status: 'scheduled', time: '2026-04-01T00:00:00.000Z' } } },
      });
    }
  });

  it('never goes into a merged conversation, nor into the past', () => {
    const merged = conversation({ status: 'open', mergedTarget: 'c2', rev: 7 });
    expect(action.plan(DONE, planning(merged))).toMatchObject({ do: 'refuse', code: 'conversation_merged' });
    const late = { ...planning(conversation({ status: 'open', rev: 7 })), nowMs: Date.parse(UNTIL) };
    expect(action.plan(SNOOZED, late)).toMatchObject({ do: 'refuse', code: 'command_invalid' });
  });

  describe('read back', () => {
    const BEFORE = iso(NOW_MS - 60_000);
    const finding = (attributes: object, rev: number | null = 7, changedAtMs: number | null = null) => {
      const step = action.readBack(DONE, readingBack(conversation(attributes), { basis: { rev, changedAtMs } }));
      return step.do === 'tell' ? step.finding.kind : step.do;
    };

    it('is found by its value, whoever wrote it', () => {
      expect(action.readBack(DONE, readingBack())).toMatchObject({ do: 'read' });
      expect(finding({ status: 'done', rev: 8 })).toBe('found');
      expect(finding({ status: 'done', rev: 12 }, null)).toBe('found');
    });

    it('is absent at the revision it was bound to, and at the next one with another value', () => {
      const lately = { modificationHistory: { statusAt: iso(NOW_MS + 10) }, updatedAt: iso(NOW_MS + 10) };
      expect(finding({ status: 'open', rev: 7, ...lately })).toBe('absent');
      expect(finding({ status: 'snoozed', rev: 8, ...lately })).toBe('absent');
      expect(finding({ status: 'open', rev: 9, ...lately })).toBe('unclear');
      expect(finding({ status: 'open', rev: 6, modificationHistory: {} })).toBe('unclear');
      expect(finding({ status: 'open', rev: 7, ...lately }, null)).toBe('unclear');
    });

    it('is absent where the status surely was not touched since', () => {
      const now = { updatedAt: iso(NOW_MS + 10) };
      expect(finding({ status: 'open', rev: 20, ...now, modificationHistory: { statusAt: BEFORE } }, null)).toBe(
        'absent',
      );
      expect(finding({ status: 'open', rev: 20, ...now, modificationHistory: {} }, null)).toBe('absent');
      expect(finding({ status: 'open', rev: 20, updatedAt: BEFORE }, null)).toBe('absent');
    });

    it("is absent where the status was last changed when it was decided on, however lately, by Kustomer's clock", () => {
      const at = (ms: number) => ({ updatedAt: iso(NOW_MS + 10), modificationHistory: { statusAt: iso(ms) } });
      expect(finding({ status: 'open', rev: 20, ...at(NOW_MS - 10) }, 7, NOW_MS - 10)).toBe('absent');
      expect(finding({ status: 'open', rev: 20, ...at(NOW_MS - 10) }, null, NOW_MS - 10)).toBe('absent');
      expect(finding({ status: 'open', rev: 20, ...at(NOW_MS - 9) }, 7, NOW_MS - 10)).toBe('unclear');
      expect(finding({ status: 'open', rev: 6, ...at(NOW_MS - 10) }, 7, NOW_MS - 10)).toBe('unclear');
      expect(finding({ status: 'open', rev: 20, modificationHistory: null }, null, 0)).toBe('unclear');
    });

    it('is unclear where Kustomer does not tell when it was touched (A4)', () => {
      const now = { updatedAt: iso(NOW_MS + 10) };
      for (const modificationHistory of [undefined, null, { statusAt: 'once' }, { statusAt: iso(NOW_MS - 1000) }]) {
        expect(finding({ status: 'open', rev: 20, ...now, modificationHistory }, null)).toBe('unclear');
      }
      expect(finding({ status: 'open', rev: 20 }, null)).toBe('unclear');
    });
  });
});
