import { describe, expect, it } from 'vitest';
import { failure, type Outcome } from '../../../../src/kustomer/client/outcome.ts';
import {
  type Ask,
  hear,
  type Inquiry,
  newInquiry,
  planNext,
  readBackFailed,
  readBackNext,
} from '../../../../src/sinks/reconcile/inquiry.ts';
import { CONVERSATION, NOW_MS } from '../../fibric/commands/samples.ts';
import { EXTERNAL_ID, iso, MACHINE } from '../actions/sights.ts';

const NOTE = {
  capability: 'conversation.note.write',
  args: { conversation_id: CONVERSATION, body: 'Hello' },
} as const;
const STATUS = {
  capability: 'conversation.status.write',
  args: { conversation_id: CONVERSATION, status: 'done', snooze_until: null },
} as const;

const ok = (body: unknown): Outcome<unknown> => ({ kind: 'ok', status: 200, headers: {}, body });
const context = {
  externalId: EXTERNAL_ID,
  machineUserId: MACHINE,
  sinceMs: NOW_MS,
  basis: null,
  claimed: new Set<string>(),
};

function asked(move: { readonly do: string }): Ask {
  expect(move.do).toBe('ask');
  return move as Ask;
}

function heard(inquiry: Inquiry, ask: Ask, body: unknown): Inquiry {
  const result = hear(inquiry, ask, ok(body));
  if (result.kind !== 'inquiry') throw new Error(result.kind);
  return result.inquiry;
}

describe('an inquiry', () => {
  it('of a plan reads, then writes what follows', () => {
    const planning = { externalId: EXTERNAL_ID, nowMs: NOW_MS };
    const begun = newInquiry(NOW_MS);
    const ask = asked(planNext(STATUS, begun, planning));
    expect(ask).toMatchObject({ link: null, request: { path: ['conversations', CONVERSATION] } });
    const conversation = { data: { type: 'conversation', id: CONVERSATION, attributes: { status: 'open', rev: 3 } } };
    const known = heard(begun, ask, conversation);
    expect(planNext(STATUS, known, planning)).toMatchObject({ do: 'write', basis: { rev: 3 } });
    expect(begun.seen.size).toBe(0);
  });

  it('begins with what the lane remembers, and then reads nothing', () => {
    const resource = { type: 'conversation', id: CONVERSATION, attributes: { status: 'done', rev: 4 } };
    const remembered = new Map([['conversation', { kind: 'one', resource }]] as const);
    const step = planNext(STATUS, newInquiry(NOW_MS, remembered), { externalId: EXTERNAL_ID, nowMs: NOW_MS });
    expect(step).toEqual({ do: 'nothing', vendorId: CONVERSATION });
  });

  it('reads a list to its end, once (Q1), and tells absence with the time it began (Q3)', () => {
    const begun = newInquiry(NOW_MS + 5);
    const first = asked(readBackNext(NOTE, begun, context));
    const more = hear(begun, first, ok({ data: [], links: { next: '/v1/notes?page=2' } }));
    if (more.kind !== 'ask') throw new Error(more.kind);
    expect(more.ask).toMatchObject({ link: '/v1/notes?page=2', read: first.read });
    const listed = heard(begun, more.ask, { data: [], links: {} });
    const second = asked(readBackNext(NOTE, listed, context));
    expect(second.read.name).not.toBe(first.read.name);
    const whole = heard(listed, second, { data: { type: 'conversation', id: CONVERSATION, attributes: {} } });
    expect(readBackNext(NOTE, whole, context)).toEqual({
      do: 'tell',
      result: { kind: 'absent', startedAtMs: NOW_MS + 5 },
      why: null,
    });
  });

  it('tells what it found as soon as it stands there', () => {
    const begun = newInquiry(NOW_MS);
    const note = { type: 'note', id: 'n1', attributes: { externalId: EXTERNAL_ID, createdAt: iso(NOW_MS) } };
    const listed = heard(begun, asked(readBackNext(NOTE, begun, context)), { data: [note] });
    expect(readBackNext(NOTE, listed, context)).toMatchObject({ result: { kind: 'found', vendorId: 'n1' } });
  });

  it('ends with a read that failed (Q2)', () => {
    const begun = newInquiry(NOW_MS);
    const lost = failure('retry', { operation: 'x', message: 'reset' });
    expect(hear(begun, asked(readBackNext(NOTE, begun, context)), lost)).toEqual({ kind: 'failure', failure: lost });
  });

  it('of what cannot be told says why', () => {
    const begun = newInquiry(NOW_MS);
    const gone = hear(
      begun,
      asked(readBackNext(NOTE, begun, context)),
      failure('refuse', { operation: 'x', message: 'no', status: 404 }),
    );
    if (gone.kind !== 'inquiry') throw new Error(gone.kind);
    const told = readBackNext(NOTE, gone.inquiry, context);
    expect(told).toMatchObject({ result: { kind: 'unreadable' }, why: expect.stringContaining(CONVERSATION) });
  });
});

describe('a failed reading back', () => {
  it.each(['permission', 'config', 'refuse'] as const)('for %s is for a person', (kind) => {
    const message = 'answered 403; the API key needs org.permission.note.read';
    expect(readBackFailed(failure(kind, { operation: 'x', message }))).toEqual({
      do: 'tell',
      result: { kind: 'unreadable', message },
      why: message,
    });
  });

  it.each(['not_sent', 'retry', 'wait', 'conflict', 'ambiguous'] as const)('for %s is tried again', (kind) => {
    expect(readBackFailed(failure(kind, { operation: 'x', message: 'm', retryAtMs: 9 }))).toMatchObject({
      result: { kind: 'unclear', retryAtMs: 9 },
    });
  });
});
