/** What a single polled resource tells: the pure part, before anything is known of the resource. */
import { describe, expect, it } from 'vitest';
import { CONNECTION_SETTINGS, type ConnectionSettings } from '../../../src/fibric/connection.ts';
import type { KustomerEvent } from '../../../src/kustomer/event.ts';
import { parseEvent } from '../../../src/kustomer/parse.ts';
import type { KnownBefore } from '../../../src/processors/change.ts';
import { SLA_SETTLE_MS } from '../../../src/processors/derive/sla.ts';
import { derive } from '../../../src/processors/derive.ts';
import { envelopeRecord } from '../../../src/processors/envelope.ts';
import { polledBody } from '../../support/polls.ts';

const NOW = Date.UTC(2026, 2, 25, 12);
const HOUR_MS = 3_600_000;
const ago = (ms: number): string => new Date(NOW - ms).toISOString();
const SINCE = NOW - 24 * HOUR_MS;
const OLD = ago(48 * HOUR_MS);

function shown(
  attributes: object,
  type: 'conversation' | 'message' | 'customer' = 'conversation',
  relationships = {},
): KustomerEvent {
  const body = polledBody(
    { type, id: 'x1', attributes: attributes as never, relationships },
    { observedAtMs: NOW, sinceMs: SINCE },
  );
  const parsed = parseEvent(body);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.event;
}

const candidates = (event: KustomerEvent, settings: Partial<ConnectionSettings> = {}) =>
  derive(event, { ...CONNECTION_SETTINGS, ...settings })?.candidates ?? [];
const identities = (...args: Parameters<typeof candidates>) => candidates(...args).map(({ identity }) => identity);

describe('a creation', () => {
  it.each(['conversation', 'message'] as const)('of a %s is told when it lies within bounds', (type) => {
    expect(identities(shown({ rev: 1, createdAt: ago(0) }, type))).toEqual([`${type}:x1:created`]);
    expect(identities(shown({ rev: 1, createdAt: new Date(SINCE).toISOString() }, type))).toEqual([
      `${type}:x1:created`,
    ]);
    expect(identities(shown({ rev: 1, createdAt: new Date(SINCE - 1).toISOString() }, type))).toEqual([]);
    expect(identities(shown({ rev: 1 }, type))).toEqual([]);
    expect(identities(shown({ rev: 1, createdAt: 'today' }, type))).toEqual([]);
  });

  it('of a customer is told with extended events only', () => {
    const customer = shown({ rev: 1, createdAt: ago(0), updatedAt: ago(0) }, 'customer');
    expect(identities(customer)).toEqual([]);
    expect(identities(customer, { extendedEvents: true })).toEqual(['customer:x1:created']);
  });
});

describe('a status', () => {
  const at = ago(HOUR_MS);
  it.each([
    ['by its history', { status: 'done', modificationHistory: { statusAt: at } }],
    ['by what the status has of its own', { status: 'done', lastDone: { createdAt: at } }],
  ])('is told %s', (_name, attributes) => {
    expect(identities(shown({ rev: 4, createdAt: OLD, ...attributes }))).toEqual([`conversation:x1:status:done@${at}`]);
  });

  it.each([
    ['that stood before the connection began', { status: 'done', modificationHistory: { statusAt: OLD } }],
    ['whose time is not known', { status: 'done' }],
    ['whose time is no time', { status: 'done', lastDone: { createdAt: 1 } }],
    ['that is none', { status: '', open: { statusAt: at } }],
    ['it was created with', { rev: 2, status: 'open', open: { statusAt: at }, createdAt: at }],
    ['stamped before the creation', { status: 'open', open: { statusAt: at }, createdAt: ago(0) }],
    ['of the first revision', { rev: 1, status: 'done', lastDone: { createdAt: at } }],
    ['stamped a little after the creation', { status: 'open', open: { statusAt: at }, doneCount: 0, snoozeCount: 0 }],
  ])('%s is no move', (_name, attributes) => {
    expect(
      identities(shown({ rev: 4, createdAt: OLD, ...attributes })).filter((id) => id.includes(':status:')),
    ).toEqual([]);
  });

  it.each([{ doneCount: 1 }, { snoozeCount: 1, doneCount: 0 }, { reopenCount: 1, doneCount: 0, snoozeCount: 0 }, {}])(
    'open again is a move: %j',
    (counts) => {
      const attributes = { rev: 4, createdAt: OLD, status: 'open', open: { statusAt: at }, ...counts };
      expect(identities(shown(attributes))).toEqual([`conversation:x1:status:open@${at}`]);
    },
  );

  it('of what is deleted or merged is still the one it has', () => {
    const attributes = {
      rev: 6,
      createdAt: OLD,
      status: 'open',
      open: { statusAt: OLD },
      deleted: true,
      mergedTarget: 'x2',
    };
    expect(identities(shown(attributes))).toEqual([]);
  });
});

describe('an answer', () => {
  const level = { formResponse: 'r1', status: 'rated', score: 1, rating: 9, updatedAt: ago(1) };
  it('is told once it is given, within bounds, and when it has a time', () => {
    const of = (satisfactionLevel: object) => identities(shown({ rev: 3, createdAt: OLD, satisfactionLevel }));
    expect(of(level)).toEqual([`conversation:x1:satisfaction:r1:rated:1:9@${ago(1)}`]);
    expect(of({ ...level, status: 'offered' })).toEqual([]);
    expect(of({ ...level, updatedAt: OLD })).toEqual([]);
    expect(of({ ...level, updatedAt: undefined })).toEqual([]);
    expect(of({ sentByTeams: [], answers: [] })).toEqual([]);
  });
});

describe('a revision', () => {
  it('of a customer is an update, but not the first, nor one without a change, nor an old one', () => {
    const of = (attributes: object) => identities(shown({ createdAt: OLD, ...attributes }, 'customer'));
    expect(of({ rev: 7, updatedAt: ago(1) })).toEqual(['customer:x1:updated#7']);
    expect(of({ updatedAt: ago(1) })).toEqual([`customer:x1:updated#updated-${ago(1)}`]);
    expect(of({ rev: 1, updatedAt: ago(1) })).toEqual([]);
    expect(of({ rev: 7, updatedAt: OLD })).toEqual([]);
    expect(of({ rev: 7, updatedAt: ago(1), createdAt: ago(1) })).toEqual([]);
    expect(of({ rev: 7 })).toEqual([]);
  });

  it('of a conversation or message is one with extended events only', () => {
    for (const type of ['conversation', 'message'] as const) {
      const event = shown({ rev: 7, createdAt: OLD, updatedAt: ago(1) }, type);
      expect(identities(event)).toEqual([]);
      expect(identities(event, { extendedEvents: true })).toEqual([`${type}:x1:updated#7`]);
    }
  });
});

describe('a breach of an SLA', () => {
  const sla = (more: object, metrics: object = {}) => ({
    rev: 3,
    createdAt: OLD,
    sla: { status: 'pending', breached: false, metrics, ...more },
  });
  const passed = ago(SLA_SETTLE_MS);
  const breaches = (attributes: object) => identities(shown(attributes));
  const of = (metric: string, at: string) => `conversation:x1:sla:${metric}@${at}`;

  it('is what Kustomer calls one, at once, whatever the clock does now', () => {
    for (const status of ['pending', 'paused', 'done']) {
      expect(breaches(sla({ status, breached: true, breach: { metric: 'nextReply', at: ago(1) } }))).toEqual([
        of('nextReply', ago(1)),
      ]);
    }
  });

  it('is a deadline that ran out unsatisfied, once an answer in time would have shown', () => {
    const metrics = {
      firstResponse: { breachAt: passed },
      nextReply: { breachAt: passed, satisfiedAt: ago(2 * HOUR_MS) },
      longestUnrespondedMessage: { breachAt: ago(SLA_SETTLE_MS - 1) },
      totalConversationOpenTime: { breachAt: new Date(NOW + HOUR_MS).toISOString() },
      odd: {},
      odder: null,
    };
    expect(breaches(sla({}, metrics))).toEqual([of('firstResponse', passed)]);
    for (const status of ['paused', 'done', undefined]) expect(breaches(sla({ status }, metrics))).toEqual([]);
  });

  it('several are several', () => {
    const metrics = { firstResponse: { breachAt: passed }, longestUnrespondedMessage: { breachAt: passed } };
    expect(breaches(sla({ breached: true, breach: { metric: 'firstResponse', at: passed } }, metrics))).toEqual([
      of('firstResponse', passed),
      of('longestUnrespondedMessage', passed),
    ]);
  });

  it('is not told again when a pause since then has moved the deadline', () => {
    const breach = { metric: 'firstResponse', at: ago(2 * HOUR_MS) };
    const moved = sla({ breached: true, breach }, { firstResponse: { breachAt: passed } });
    expect(breaches(moved)).toEqual([of('firstResponse', breach.at)]);
  });

  it.each([
    ['a forecast', { breach: { metric: 'firstResponse', at: passed } }],
    [
      'a breach far ahead, which is a forecast whatever it says',
      { breached: true, breach: { metric: 'firstResponse', at: new Date(NOW + HOUR_MS).toISOString() } },
    ],
    ['one before the connection began', { breached: true, breach: { metric: 'firstResponse', at: OLD } }],
    ['one without a metric', { breached: true, breach: { at: passed } }],
    ['one without a time', { breached: true, breach: { metric: 'firstResponse' } }],
    ['breached in words', { breached: 'true', breach: { metric: 'firstResponse', at: passed } }],
  ])('is not %s', (_name, more) => {
    expect(breaches(sla(more))).toEqual([]);
  });

  it('told by a webhook is the same', () => {
    const breach = { metric: 'firstResponse', at: passed };
    const webhook = (before: object, after: object): KustomerEvent => {
      const parsed = parseEvent(
        Buffer.from(
          JSON.stringify({
            name: 'kustomer.conversation.update',
            createdAt: ago(0),
            data: { type: 'conversation', id: 'x1', attributes: { rev: 4, sla: after } },
            changes: { attributes: { sla: { op: 'replace', before, after } } },
          }),
        ),
      );
      if (!parsed.ok) throw new Error(parsed.message);
      return parsed.event;
    };
    const breached = { breached: true, breach };
    expect(identities(webhook({ breached: false, breach }, breached))).toEqual([of('firstResponse', passed)]);
    expect(identities(webhook(breached, { ...breached, status: 'paused' }))).toEqual([]);
    expect(identities(webhook({}, { breached: false, breach }))).toEqual([]);
    const next = { metric: 'nextReply', at: ago(1) };
    expect(identities(webhook(breached, { breached: true, breach: next }))).toEqual([of('nextReply', ago(1))]);
  });
});

describe('whose change it was', () => {
  const users = (name: string) => ({ data: { type: 'user', id: name } });
  const relationships = { createdBy: users('creator'), modifiedBy: users('machine') };
  const echoes = (attributes: object) => {
    const event = shown({ rev: 9, createdAt: ago(3 * HOUR_MS), ...attributes }, 'conversation', relationships);
    return candidates(event, { extendedEvents: true }).map((candidate) => {
      const emission = { candidate, identity: candidate.identity, late: false, known: null };
      const attribution = { tenantId: 't', connectionId: 'c', resellerId: null, workspaceId: null };
      const { envelope } = envelopeRecord(emission, event, { via: 'poll', machineUserId: 'machine' }, attribution);
      const [payload] = Object.values(envelope.payload) as unknown as {
        actor: { id: string } | null;
        echo: boolean | null;
      }[];
      return [envelope.event_type, payload?.actor?.id ?? null, payload?.echo];
    });
  };

  it('is only said of the edit that the record names: somebody else may have moved the status before', () => {
    const status = { status: 'done', modificationHistory: { statusAt: ago(HOUR_MS) } };
    expect(echoes({ ...status, modifiedAt: ago(1), updatedAt: ago(1) })).toEqual([
      ['conversation.created', 'creator', false],
      ['conversation.status.changed', null, null],
      ['conversation.updated', 'machine', true],
    ]);
    expect(echoes({ ...status, modifiedAt: ago(HOUR_MS), updatedAt: ago(1) })).toEqual([
      ['conversation.created', 'creator', false],
      ['conversation.status.changed', 'machine', true],
      ['conversation.updated', null, null],
    ]);
  });
});

describe('a reopen seen by a poll', () => {
  const reopenedBy = (known: KnownBefore, status: string, reopenCount: number | null): unknown => {
    const at = ago(HOUR_MS);
    const event = shown({ rev: 9, createdAt: OLD, status, reopenCount, modificationHistory: { statusAt: at } });
    const [candidate] = candidates(event);
    if (candidate === undefined) throw new Error('no move of the status');
    const attribution = { tenantId: 't', connectionId: 'c', resellerId: null, workspaceId: null };
    const emission = { candidate, identity: candidate.identity, late: false, known };
    const { envelope } = envelopeRecord(emission, event, { via: 'poll', machineUserId: null }, attribution);
    return (Object.values(envelope.payload)[0] as unknown as { reopened: unknown }).reopened;
  };
  const knew = (status: string | null, reopenCount: number | null, missedRevisions: number | null): KnownBefore => ({
    status,
    reopenCount,
    missedRevisions,
  });

  it.each<[string, KnownBefore, string, number | null, boolean | null]>([
    ['done right before', knew('done', 0, 0), 'open', null, true],
    ['regression: done a while ago, and snoozed since for all we know', knew('done', 0, 2), 'open', null, null],
    ['done a while ago, and counted', knew('done', 0, 2), 'open', 1, true],
    ['open as before, and counted in between', knew(null, 1, 4), 'open', 2, true],
    ['open as before, not counted', knew(null, 1, 4), 'open', 1, null],
    ['snoozed before, not counted', knew('snoozed', 1, 0), 'open', 1, false],
    ['nothing known, whatever the count', knew(null, null, null), 'open', 3, null],
    ['created meanwhile, and counted since', knew(null, 0, null), 'open', 1, true],
    ['done, which is no reopen', knew('open', 0, 0), 'done', 1, false],
  ])('%s', (_name, known, status, reopenCount, expected) => {
    expect(reopenedBy(known, status, reopenCount)).toBe(expected);
  });
});
