import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CommandArgs } from '../../../../src/fibric/commands/index.ts';
import {
  conversationAssignmentWrite as action,
  mergeMembers,
} from '../../../../src/sinks/actions/conversation-assignment-write.ts';
import { CONVERSATION, NOW_MS } from '../../fibric/commands/samples.ts';
import { iso, one, planning, readingBack } from './sights.ts';

type Args = CommandArgs<'conversation.assignment.write'>;

const id = (n: number) => n.toString(16).padStart(24, '0');
const args = (more: Partial<Args>): Args => ({
  conversation_id: CONVERSATION,
  users: null,
  teams: null,
  mode: 'set',
  ...more,
});
const conversation = (attributes: object) => ({
  conversation: one('conversation', CONVERSATION, { rev: 7, assignedUsers: [], assignedTeams: [], ...attributes }),
});

const plan = (command: Args, attributes: object = {}) => action.plan(command, planning(conversation(attributes)));

describe('an assignment', () => {
  it('merges what was read, bound to its revision, and leaves alone what it does not speak of', () => {
    expect(action.plan(args({ users: [id(1)] }), planning())).toMatchObject({ do: 'read' });
    const now = { assignedUsers: [id(1), id(2)], assignedTeams: [id(9)] };
    const body = (command: Args) => {
      const step = plan(command, now);
      return step.do === 'write' ? step.request.body : step;
    };
    expect(body(args({ users: [id(3)], mode: 'add' }))).toEqual({ assignedUsers: [id(1), id(2), id(3)], rev: 7 });
    expect(body(args({ users: [id(1), id(4)], mode: 'remove' }))).toEqual({ assignedUsers: [id(2)], rev: 7 });
    expect(body(args({ users: [id(5)], teams: [] }))).toEqual({ assignedUsers: [id(5)], assignedTeams: [], rev: 7 });
    expect(body(args({ users: [id(2)], teams: [id(9), id(8)], mode: 'add' }))).toEqual({
      assignedTeams: [id(9), id(8)],
      rev: 7,
    });
  });

  it('is not written when it is so already, in whatever order (A2)', () => {
    const now = { assignedUsers: [id(1), id(2)] };
    for (const command of [
      args({ users: [id(2), id(1)] }),
      args({ users: [id(2)], mode: 'add' }),
      args({ users: [id(3)], mode: 'remove' }),
      args({ teams: [] }),
    ]) {
      expect(plan(command, now)).toEqual({ do: 'nothing', vendorId: CONVERSATION });
    }
  });

  it('refuses more than Kustomer takes, and merged conversations', () => {
    const full = { assignedUsers: Array.from({ length: 10 }, (_, n) => id(n)) };
    expect(plan(args({ users: [id(77)], mode: 'add' }), full)).toMatchObject({ code: 'assignment_full' });
    expect(plan(args({ users: [id(1)] }), { mergedTarget: 'c2' })).toMatchObject({ code: 'conversation_merged' });
  });

  it('merges as sets do, once and twice alike', () => {
    const members = fc.uniqueArray(fc.integer({ min: 0, max: 6 }).map(id), { maxLength: 6 });
    fc.assert(
      fc.property(members, members, fc.constantFrom('set', 'add', 'remove'), (before, named, mode) => {
        const after = mergeMembers(before, named, mode);
        expect(new Set(after).size).toBe(after.length);
        expect(mergeMembers(after, named, mode)).toEqual(after);
        for (const one of before)
          expect(after.includes(one)).toBe(
            mode === 'set' ? named.includes(one) : mode === 'add' || !named.includes(one),
          );
        for (const one of named) expect(after.includes(one)).toBe(mode !== 'remove');
      }),
    );
  });

  describe('read back', () => {
    const finding = (command: Args, attributes: object, rev: number | null = 7) => {
      const step = action.readBack(
        command,
        readingBack(conversation(attributes), { basis: { rev, changedAtMs: null } }),
      );
      return step.do === 'tell' ? step.finding.kind : step.do;
    };
    const ADD = args({ users: [id(1)], mode: 'add' });
    const lately = { updatedAt: iso(NOW_MS + 10), modificationHistory: { assignedUsersAt: iso(NOW_MS + 10) } };

    it('is found when it stands, also beside what others did', () => {
      expect(finding(ADD, { assignedUsers: [id(1)], rev: 8 })).toBe('found');
      expect(finding(ADD, { assignedUsers: [id(5), id(1)], rev: 12 }, null)).toBe('found');
      expect(finding(args({ users: [id(1)], mode: 'remove' }), { assignedUsers: [id(5)], rev: 8 })).toBe('found');
    });

    it('is absent at its revision and the next, and where its lists were not touched since', () => {
      expect(finding(ADD, { rev: 7, ...lately })).toBe('absent');
      expect(finding(ADD, { rev: 8, assignedUsers: [id(5)], ...lately })).toBe('absent');
      const teamsOnly = { updatedAt: iso(NOW_MS + 10), modificationHistory: { assignedTeamsAt: iso(NOW_MS + 10) } };
      expect(finding(ADD, { rev: 20, ...teamsOnly })).toBe('absent');
    });

    it('is unclear where somebody changed the list meanwhile (A4)', () => {
      expect(finding(ADD, { rev: 9, assignedUsers: [id(5)], ...lately })).toBe('unclear');
      expect(finding(ADD, { rev: 7, ...lately }, null)).toBe('unclear');
      const both = args({ users: [id(1)], teams: [id(2)] });
      expect(finding(both, { rev: 20, assignedUsers: [id(5)], ...lately })).toBe('unclear');
    });
  });
});
