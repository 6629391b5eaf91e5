/** The invariants I1 to I7 of src/processors/dedupe.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate, Derived } from '../../../src/processors/change.ts';
import {
  type Decision,
  dedupe,
  MAX_BREACHES,
  MAX_INTERVALS,
  MAX_POLL_ONLY,
  MAX_POLLED_INTERVALS,
  MAX_TOKENS,
} from '../../../src/processors/dedupe.ts';
import { decodeState, EMPTY_STATE, encodeState, type ResourceState } from '../../../src/processors/resource-state.ts';

const T0 = Date.UTC(2026, 0, 1);
const STATUSES = ['open', 'snoozed', 'done'] as const;
const minute = (n: number): number => T0 + n * 60_000;

function base(revision: number | null, candidates: readonly Candidate[], more: Partial<Derived> = {}): Derived {
  return {
    resourceType: 'conversation',
    resourceId: 'c1',
    created: false,
    polled: false,
    revision,
    token: revision === null ? 'event-1' : null,
    observed: null,
    candidates,
    ...more,
  };
}

/** The move of the status that led to this revision. */
function move(revision: number, atMs = minute(revision)): Candidate {
  const status = STATUSES[revision % 3] as string;
  return {
    eventType: 'conversation.status.changed',
    identity: `conversation:c1:status:${status}@${atMs}`,
    basis: 'state',
    occurredAt: null,
    moves: { attribute: 'status', status, atMs },
  };
}

function updated(revision: number | string): Candidate {
  return {
    eventType: 'customer.updated',
    identity: `customer:c1:updated#${revision}`,
    basis: 'revision',
    occurredAt: null,
  };
}

const creation: Candidate = {
  eventType: 'conversation.created',
  identity: 'conversation:c1:created',
  basis: 'created',
  occurredAt: null,
};

/** A log of deliveries, decided one after the other; the state goes through its bytes each time. */
class Log {
  state: ResourceState = EMPTY_STATE;
  offset = 0;
  readonly emitted: string[] = [];
  readonly late = new Map<string, boolean>();
  readonly deliveries: { derived: Derived; rawOffset: number }[] = [];

  take(given: Derived, path: 'webhook' | 'poll' = 'webhook'): Decision {
    // A poll's record is never a creation by itself: it shows one.
    const derived = path === 'poll' ? { ...given, polled: true, created: false } : given;
    const delivery = { derived, rawOffset: this.offset++ };
    this.deliveries.push(delivery);
    return this.decide(delivery);
  }

  decide(delivery: Log['deliveries'][number]): Decision {
    const decision = dedupe(this.state, delivery);
    for (const { identity, late } of decision.emit) {
      this.emitted.push(identity);
      this.late.set(identity, late);
    }
    this.state = decodeState(encodeState(decision.next));
    return decision;
  }
}

/** Any order of 1..count, each at least once, some again. */
const deliveries = fc.integer({ min: 1, max: 64 }).chain((count) => {
  const all = Array.from({ length: count }, (_, i) => i + 1);
  return fc
    .tuple(fc.array(fc.integer({ min: 1, max: count }), { maxLength: count }), fc.infiniteStream(fc.nat()))
    .map(([again, random]) => {
      const order = [...all, ...again];
      for (let i = order.length - 1; i > 0; i--) {
        const j = random.next().value % (i + 1);
        [order[i], order[j]] = [order[j] as number, order[i] as number];
      }
      return { count, order };
    });
});

describe('webhooks', () => {
  it('I1 I4: any order and any repetition emits every change exactly once, and flags exactly the overtaken ones', () => {
    fc.assert(
      fc.property(deliveries, ({ count, order }) => {
        const log = new Log();
        const expectedLate = new Map<string, boolean>();
        let top = 0;
        for (const revision of order) {
          const candidate = move(revision);
          if (!expectedLate.has(candidate.identity)) expectedLate.set(candidate.identity, revision < top);
          top = Math.max(top, revision);
          log.take(base(revision, [candidate]));
        }
        expect(log.emitted.length).toBe(count);
        expect(new Set(log.emitted).size).toBe(count);
        expect(log.late).toEqual(expectedLate);
      }),
      { numRuns: 500 },
    );
  });

  it('I1: revisions that say nothing are remembered too, so that the set stays one interval', () => {
    const log = new Log();
    for (let revision = 1; revision <= 100; revision++)
      log.take(base(revision, revision % 10 === 0 ? [move(revision)] : []));
    expect(log.state.revisions).toEqual([1, 100]);
    expect(log.emitted.length).toBe(10);
  });

  it('I2: revisions that claim the same moment are two changes: the second is told by its revision', () => {
    const log = new Log();
    const same = move(3, minute(1));
    expect(log.take(base(3, [same])).emit).toMatchObject([{ candidate: same, identity: same.identity }]);
    expect(log.take(base(6, [same])).emit).toMatchObject([{ candidate: same, identity: `${same.identity}#6` }]);
    expect(log.take(base(6, [same])).verdict).toBe('duplicate');
    expect(log.take(base(3, [same])).verdict).toBe('duplicate');
    expect(log.take(base(9, [same]), 'poll').verdict).toBe('duplicate');
  });

  it('I5: one creation, whatever its snapshot claims; it takes no revision from the update that follows', () => {
    const log = new Log();
    expect(log.take(base(3, [creation], { created: true })).verdict).toBe('emitted');
    expect(log.take(base(1, [creation], { created: true })).verdict).toBe('duplicate');
    const update = log.take(base(3, [move(3)]));
    expect(update).toMatchObject({ verdict: 'emitted', emit: [{ late: false }] });
    expect(log.take(base(2, [move(2)]))).toMatchObject({ verdict: 'emitted', emit: [{ late: true }] });
  });

  it('I4 I5: a creation overtaken by an update is emitted, late', () => {
    const log = new Log();
    log.take(base(2, [move(2)]));
    expect(log.take(base(1, [creation], { created: true }))).toMatchObject({
      verdict: 'emitted',
      emit: [{ late: true }],
    });
  });

  it('without revisions: the token tells deliveries apart', () => {
    const log = new Log();
    const first = base(null, [updated('a')], { token: 'a' });
    expect(log.take(first).verdict).toBe('emitted');
    expect(log.take(base(null, [updated('b')], { token: 'b' })).verdict).toBe('emitted');
    expect(log.take(first).verdict).toBe('duplicate');
    const same = move(3, minute(1));
    log.take(base(null, [same], { token: 'c' }));
    expect(log.take(base(null, [same], { token: 'd' })).emit[0]?.identity).toBe(`${same.identity}#d`);
    expect(log.take(base(null, [same], { token: 'c' })).verdict).toBe('duplicate');
  });
});

describe('webhooks and polls together', () => {
  /** What a poll sees after `revision`: the state the last move led to. */
  const polled = (revision: number): Derived => base(revision, [move(revision)]);

  /**
   * A conversation whose every revision is a move. Webhooks come in any order, some twice, some never; polls show the
   * state after some revision, in order, each perhaps twice (overlapping windows).
   */
  const story = fc
    .record({
      count: fc.integer({ min: 1, max: MAX_POLL_ONLY }),
      steps: fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: MAX_POLL_ONLY })), { maxLength: 40 }),
    })
    .map(({ count, steps }) => {
      let latest = 1;
      return steps.map(([isPoll, n]) => {
        const revision = Math.min(n, count);
        if (!isPoll) return { isPoll, revision };
        latest = Math.max(latest, revision);
        return { isPoll, revision: latest };
      });
    });

  it('I1 I3: a change is never emitted twice, and everything a webhook brought or a poll showed is emitted', () => {
    fc.assert(
      fc.property(story, (steps) => {
        const log = new Log();
        const known = new Set<string>();
        for (const { isPoll, revision } of steps) {
          log.take(isPoll ? polled(revision) : base(revision, [move(revision)]), isPoll ? 'poll' : 'webhook');
          known.add(move(revision).identity);
          expect(new Set(log.emitted).size, `doubled after ${JSON.stringify(steps)}`).toBe(log.emitted.length);
          for (const { isPoll: wasPoll, revision: earlier } of steps.slice(0, log.offset)) {
            if (!wasPoll) expect(log.emitted).toContain(move(earlier).identity);
          }
        }
        for (const identity of log.emitted) expect(known).toContain(identity);
        const highest = Math.max(0, ...steps.map((step) => step.revision));
        if (highest > 0) expect(log.emitted).toContain(move(highest).identity);
      }),
      { numRuns: 1000 },
    );
  });

  it('I3: the webhook of a polled change collapses, the webhooks of the changes a poll could not see are late', () => {
    const log = new Log();
    expect(log.take(polled(5), 'poll').verdict).toBe('emitted');
    expect(log.take(base(4, [move(4)]))).toMatchObject({ verdict: 'emitted', emit: [{ late: true }], collapsed: 0 });
    expect(log.take(base(5, [move(5)]))).toMatchObject({ verdict: 'duplicate', collapsed: 1 });
    expect(log.take(polled(5), 'poll').verdict).toBe('duplicate');
  });

  it('I3: a poll taken after later revisions still matches the webhook of the move it shows', () => {
    const log = new Log();
    const shown = move(5);
    expect(log.take(base(9, [shown]), 'poll').verdict).toBe('emitted');
    expect(log.take(base(5, [shown])).verdict).toBe('duplicate');
  });

  it('I3: a webhook later than the poll is another change, even with the same identity', () => {
    const log = new Log();
    const same = move(3, minute(1));
    log.take(base(3, [same]), 'poll');
    expect(log.take(base(6, [same])).emit[0]?.identity).toBe(`${same.identity}#6`);
    expect(log.take(base(3, [same])).verdict).toBe('duplicate');
  });

  it('I3 I5: a creation seen by a poll first', () => {
    const log = new Log();
    expect(log.take(base(4, [creation], { created: true }), 'poll').verdict).toBe('emitted');
    expect(log.take(base(1, [creation], { created: true })).verdict).toBe('duplicate');
    expect(log.take(base(4, [creation], { created: true }), 'poll').verdict).toBe('duplicate');
  });

  it('I3: changes told by their revision, in any mixture of both paths, are emitted once each', () => {
    const step = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 32 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const log = new Log();
        for (const [isPoll, revision] of steps) {
          log.take(base(revision, [updated(revision)]), isPoll ? 'poll' : 'webhook');
        }
        const wanted = new Set(steps.map(([, revision]) => updated(revision).identity));
        expect(new Set(log.emitted)).toEqual(wanted);
        expect(log.emitted.length).toBe(wanted.size);
      }),
    );
  });

  it('I7: an old status is not news to a poll after its entry was let go', () => {
    const log = new Log();
    for (let revision = 1; revision <= 6; revision++) log.take(base(revision, [move(revision)]));
    for (let revision = 1; revision <= 6; revision++)
      expect(log.take(polled(revision), 'poll').verdict).toBe('duplicate');
    expect(log.emitted.length).toBe(6);
  });

  it('regression: a status seen beside another change was taken for old, and the move was lost with its webhook', () => {
    const log = new Log();
    const observed = { status: 'open', statusAtMs: minute(3), reopenCount: 2 };
    log.take(base(57, [], { observed }));
    expect(log.state).toMatchObject({ status: { value: 'open', atMs: minute(3) }, reopenCount: 2 });
    expect(log.take(base(57, [move(3)], { observed }), 'poll').verdict).toBe('emitted');
    expect(log.take(base(57, [move(3)], { observed }), 'poll').verdict).toBe('duplicate');
  });

  it('I8: what a poll shows and may not publish is known, but its webhook and an earlier `since` still publish it', () => {
    const log = new Log();
    const observed = { status: 'done', statusAtMs: minute(3), reopenCount: null };
    expect(log.take(base(5, [], { observed }), 'poll').verdict).toBe('nothing');
    expect(log.state.status).toEqual({ value: 'done', atMs: minute(3), revision: 5 });
    const webhook = new Log();
    webhook.state = log.state;
    webhook.offset = log.offset;
    expect(webhook.take(base(3, [move(3)])).verdict).toBe('emitted');
    expect(log.take(base(5, [creation, move(3)], { observed }), 'poll').emit.map(({ identity }) => identity)).toEqual([
      creation.identity,
      move(3).identity,
    ]);
  });
});

describe('what a polled move is compared with', () => {
  const seen = (revision: number, moved: number, reopenCount: number | null = null): Derived => {
    const candidate = move(moved);
    const status = candidate.basis === 'state' ? candidate.moves.status : null;
    return base(revision, [candidate], { observed: { status, statusAtMs: minute(moved), reopenCount } });
  };
  const known = (log: Log, derived: Derived) => log.take(derived, 'poll').emit[0]?.known;

  it('nothing, at first sight', () => {
    expect(known(new Log(), seen(9, 5))).toEqual({ status: null, reopenCount: null, missedRevisions: null });
  });

  it('no reopen yet, where the poll shows the creation too', () => {
    const derived = seen(9, 5, 1);
    const decision = new Log().take({ ...derived, candidates: [creation, ...derived.candidates] }, 'poll');
    expect(decision.emit.map((emission) => emission.known)).toEqual([
      null,
      { status: null, reopenCount: 0, missedRevisions: null },
    ]);
  });

  it('the status of the last move, and how many revisions nobody told of', () => {
    const log = new Log();
    log.take(seen(1, 1));
    log.take(base(2, []));
    expect(known(log, seen(3, 3))).toEqual({ status: 'snoozed', reopenCount: 0, missedRevisions: 0 });
    log.take(base(5, []));
    expect(known(log, seen(7, 7, 1))).toEqual({ status: 'open', reopenCount: 0, missedRevisions: 2 });
  });

  it('the move itself may be older than the last revision told of', () => {
    const log = new Log();
    log.take(seen(1, 1));
    for (const revision of [2, 4, 5]) log.take(base(revision, []));
    expect(known(log, seen(5, 3))).toEqual({ status: 'snoozed', reopenCount: 0, missedRevisions: 0 });
  });

  it('not the same status again: in between it was another', () => {
    const log = new Log();
    log.take(seen(1, 1, 1));
    expect(known(log, seen(6, 4, 2))).toEqual({ status: null, reopenCount: 1, missedRevisions: 4 });
  });

  it('nothing that came later: a search may show an old copy', () => {
    const log = new Log();
    log.take(seen(5, 5));
    expect(known(log, seen(4, 4))).toEqual({ status: null, reopenCount: null, missedRevisions: null });
  });

  it('the count is that of the status known, not of a snapshot that came with something else', () => {
    const log = new Log();
    log.take(seen(3, 3, null));
    log.take(base(9, [], { observed: { status: 'done', statusAtMs: minute(8), reopenCount: 4 } }));
    expect(known(log, seen(9, 8, 4))).toMatchObject({ status: 'open', reopenCount: 0 });
  });
});

describe('breaches', () => {
  const breach = (metric: string, n: number): Candidate => ({
    eventType: 'conversation.sla.breached',
    identity: `conversation:c1:sla:${metric}@${minute(n)}`,
    basis: 'once',
    occurredAt: null,
    breach: { metric, at: String(minute(n)), atMs: minute(n) },
  });

  it('I3: one for each metric and deadline, whichever path and however many deliveries tell of it', () => {
    const log = new Log();
    expect(log.take(base(3, [breach('firstResponse', 1), breach('nextReply', 1)]), 'poll').emit.length).toBe(2);
    expect(log.take(base(4, [breach('firstResponse', 1)])).verdict).toBe('duplicate');
    expect(log.take(base(5, [breach('firstResponse', 1)])).verdict).toBe('duplicate');
    expect(log.take(base(5, [breach('firstResponse', 1), breach('nextReply', 2)]), 'poll').emit.length).toBe(1);
    expect(new Set(log.emitted).size).toBe(3);
    expect(log.emitted.length).toBe(3);
  });

  it('I7: bounded, and one that was let go does not come back', () => {
    const log = new Log();
    for (let n = 1; n <= 3 * MAX_BREACHES; n++) log.take(base(n, [breach('nextReply', n)]), 'poll');
    expect(log.state.recents.length).toBe(MAX_BREACHES);
    for (let n = 1; n <= 3 * MAX_BREACHES; n++) log.take(base(99, [breach('nextReply', n)]), 'poll');
    expect(log.emitted.length).toBe(3 * MAX_BREACHES);
  });
});

describe('I6: reprocessing', () => {
  const anything = fc.record({
    kind: fc.constantFrom('move', 'update', 'create', 'no-revision'),
    revision: fc.integer({ min: 1, max: 40 }),
    via: fc.constantFrom('webhook' as const, 'poll' as const),
  });

  it('leaves output and state unchanged, from whichever offset the group is rewound', () => {
    fc.assert(
      fc.property(fc.array(anything, { maxLength: 60 }), fc.nat(), (list, from) => {
        const log = new Log();
        for (const { kind, revision, via } of list) {
          if (kind === 'move') log.take(base(revision, [move(revision)]), via);
          else if (kind === 'update') log.take(base(revision, [updated(revision)]), via);
          else if (kind === 'create') log.take(base(revision, [creation], { created: true }), via);
          else log.take(base(null, [updated(`t${revision}`)], { token: `t${revision}` }), via);
        }
        const emitted = [...log.emitted];
        const state = encodeState(log.state).toString('hex');
        for (const delivery of log.deliveries.slice(list.length === 0 ? 0 : from % list.length)) {
          expect(log.decide(delivery).verdict).toBe('reprocessed');
        }
        expect(log.emitted).toEqual(emitted);
        expect(encodeState(log.state).toString('hex')).toBe(state);
      }),
      { numRuns: 500 },
    );
  });

  it('emits an unseen webhook even below the last offset: then the offset is of another raw topic', () => {
    const log = new Log();
    log.offset = 1000;
    log.take(base(1, [move(1)]));
    expect(log.decide({ derived: base(2, [move(2)]), rawOffset: 3 }).verdict).toBe('emitted');
    expect(log.state.lastRawOffset).toBe(1000);
  });

  it('regression: webhooks without revision were lost below the last offset of an earlier raw topic', () => {
    const log = new Log();
    log.offset = 1000;
    log.take(base(null, [updated('t1')], { token: 't1' }));
    const again = { derived: base(null, [updated('t1')], { token: 't1' }), rawOffset: 2 } as const;
    const unseen = { derived: base(null, [updated('t2')], { token: 't2' }), rawOffset: 3 } as const;
    expect(log.decide(again).verdict).toBe('reprocessed');
    expect(log.decide(unseen).verdict).toBe('emitted');
    expect(log.decide(unseen).verdict).toBe('reprocessed');
    expect(log.emitted).toEqual(['customer:c1:updated#t1', 'customer:c1:updated#t2']);
  });
});

describe('I7: bounds', () => {
  it('about 50 bytes for a conversation that moved eight times in order', () => {
    const log = new Log();
    log.offset = 5_000_000;
    const observed = { status: 'open', statusAtMs: minute(0), reopenCount: 1 };
    log.take(base(1, [creation], { created: true, observed }));
    for (let n = 1; n <= 8; n++) log.take(base(n + 1, [move(n, minute(n * 600))], { observed }));
    expect(encodeState(log.state).length).toBeLessThanOrEqual(60);
  });

  it('bounded, whatever comes', () => {
    const step = fc.record({
      revision: fc.option(fc.integer({ min: 1, max: 2 ** 40 })),
      token: fc.string(),
      atMs: fc.integer({ min: 0, max: T0 }),
      via: fc.constantFrom('webhook' as const, 'poll' as const),
      isMove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 150, maxLength: 400 }), (steps) => {
        const log = new Log();
        for (const { revision, token, atMs, via, isMove } of steps) {
          const candidate = isMove ? move(revision ?? 0, atMs) : updated(revision ?? token);
          log.take(base(revision, [candidate], { token: revision === null ? token : null }), via);
        }
        expect(log.state.revisions.length / 2).toBeLessThanOrEqual(MAX_INTERVALS);
        expect(log.state.polledRevisions.length / 2).toBeLessThanOrEqual(MAX_POLLED_INTERVALS);
        expect(log.state.recents.length).toBeLessThanOrEqual(11 + MAX_TOKENS);
        expect(encodeState(log.state).length).toBeLessThanOrEqual(11_000);
      }),
      { numRuns: 50 },
    );
  });

  it('I6: polled revisions that were forgotten are not emitted again by a rewind', () => {
    const log = new Log();
    const polls = MAX_POLLED_INTERVALS + 10;
    for (let n = 1; n <= polls; n++) log.take(base(2 * n, [updated(2 * n)]), 'poll');
    expect(log.emitted.length).toBe(polls);
    for (const delivery of log.deliveries) expect(log.decide(delivery).verdict).toBe('reprocessed');
    expect(log.emitted.length).toBe(polls);
  });

  it('regression: a busy resource lost the retries of every second of its changes', () => {
    const log = new Log();
    const odd = Array.from({ length: 500 }, (_, i) => 2 * i + 1);
    for (const revision of odd) log.take(base(revision, [updated(revision)]));
    for (const revision of odd) expect(log.take(base(revision + 1, [updated(revision + 1)])).verdict).toBe('emitted');
    expect(log.state.revisions).toEqual([1, 1000]);
  });

  it('regression: changes without revision were doubled when nine of them were delivered again', () => {
    const log = new Log();
    const tokens = Array.from({ length: MAX_TOKENS }, (_, i) => `event-${i}`);
    for (const token of tokens) log.take(base(null, [updated(token)], { token }));
    for (const token of tokens) expect(log.take(base(null, [updated(token)], { token })).verdict).toBe('duplicate');
    expect(log.emitted.length).toBe(MAX_TOKENS);
    expect(decodeState(encodeState(log.state))).toEqual(log.state);
  });

  it('over the bound, closing the oldest gap doubles nothing and loses only what lies in that gap', () => {
    const log = new Log();
    const odd = Array.from({ length: MAX_INTERVALS + 5 }, (_, i) => 2 * i + 1);
    for (const revision of odd) log.take(base(revision, [move(revision)]));
    for (const revision of odd) expect(log.take(base(revision, [move(revision)])).verdict).toBe('duplicate');
    const verdicts = odd.map((revision) => log.take(base(revision + 1, [move(revision + 1)])).verdict);
    expect(verdicts.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => 'duplicate'));
    expect(new Set(verdicts.slice(5))).toEqual(new Set(['emitted']));
  });
});
