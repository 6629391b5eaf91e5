/**
 * The incident: one note, sent 657 times in twenty minutes. Here it is one command 657 times over, from several producers, while
 * its owner crashes, freezes and is succeeded, and while replies get lost. A hundred stories, each told by its seed.
 */
import { expect, it } from 'vitest';
import type { LiveCommand } from '../../../../src/sinks/lifecycle/events.ts';
import { untruths } from './truth.ts';
import { seeded } from './vendor.ts';
import { type Fault, type Plan, World } from './world.ts';

const COPIES = 657;
const SEEDS = 100;
const FAULTS = ['crash', 'freeze', 'usurp', 'hand_over'] as const;

function copy(offset: number): LiveCommand {
  return {
    identity: 'the one note',
    fingerprint: 'f'.repeat(32),
    receiptId: `r${offset}`,
    subject: {
      tenantId: 't_acme',
      connectionId: 'acme',
      capability: 'conversation.note.write',
      entityKey: 'conversation:657',
      idempotencyKey: 'order-risk:657:note',
      commandId: `producer ${offset % 4}, ${offset}`,
    },
    record: null,
    mode: 'live',
    readsFirst: false,
    deadlineMs: null,
    approvedBy: null,
  };
}

function flood(seed: number): Plan {
  const random = seeded(seed);
  const fault = (index: number): Fault => ({
    kind: FAULTS[Math.floor(random() * FAULTS.length)] as Fault['kind'],
    // Half of them while the first copy is at work, half while the others come after it.
    atMs: 1000 + Math.floor(random() * (index % 2 === 0 ? 300 : 3000)),
    ms: Math.floor(random() * 400),
  });
  return {
    seed,
    records: Array.from({ length: COPIES }, (_, at) => ({ lane: '657', command: copy(at), isValid: true })),
    faults: Array.from({ length: 10 }, (_, index) => fault(index)),
    vendor: {
      lostAfter: 0.4,
      lostBefore: 0.1,
      failedAfter: 0.2,
      limited: 0.1,
      conflict: 0.05,
      refused: 0,
      notSent: 0.1,
      unclearReads: 0.2,
    },
    blocks: 0,
    alerts: 0,
    limit: 1,
    away: 0.2,
    twice: 0.1,
    ahead: 3,
  };
}

it(`${COPIES} copies of one note are one note, 1 applied and ${COPIES - 1} DEDUP, in each of ${SEEDS} floods`, () => {
  let owners = 0;
  let readBack = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(flood(seed)).run();
    expect(untruths(world), `seed ${seed}`).toEqual([]);
    const { receipts } = world.durable;
    const [applied, ...more] = receipts.filter(({ outcome }) => outcome === 'applied');
    expect(world.vendor.applied.length, `seed ${seed}`).toBe(1);
    expect(more).toEqual([]);
    const duplicates = receipts.filter(({ decision, outcome }) => decision === 'DEDUP' && outcome === 'deduplicated');
    expect(duplicates.length, `seed ${seed}`).toBe(COPIES - 1);
    for (const { firstReceiptId, attempts } of duplicates)
      expect([firstReceiptId, attempts]).toEqual([applied?.receiptId, 0]);
    owners += world.owners.length;
    if (applied?.reconciled) readBack++;
  }
  // Or it would have been a hundred times the same quiet story.
  expect(owners).toBeGreaterThan(4 * SEEDS);
  expect(readBack).toBeGreaterThan(SEEDS / 4);
}, 60_000);
