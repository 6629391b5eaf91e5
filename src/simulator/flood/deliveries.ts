/**
 * From changes to sends: which are delivered twice, which are overtaken. Pure and seeded.
 *
 * Invariants (test/unit/simulator/flood-deliveries.test.ts cites them):
 * D1 Every change is delivered at least once; exactly `round(count × duplicates)` changes are delivered twice, with the
 *    same bytes and signature, the second time after the first and marked `duplicate`.
 * D2 Without `reorder` first deliveries keep the order of the changes. With it, a held change goes out right after the
 *    next change of the same object, or after `HOLD_WINDOW` changes when none comes.
 * D3 What is held back is bounded by `HOLD_WINDOW` and `REPEAT_WINDOW`, whatever the count.
 * D4 The same settings and targets give the same sends in the same order, byte for byte.
 */
import { createHmac } from 'node:crypto';
import type { ModelEvent } from '../model/event.ts';
import { createRandom } from '../model/random.ts';
import { type FloodChange, floodChanges } from './changes.ts';
import { type ExpectedEnvelope, expectedEnvelopes } from './expect.ts';
import type { FloodSettings, FloodTarget } from './options.ts';

/** What is sent for one change: shared by all its deliveries. */
export interface Delivery {
  readonly target: number;
  readonly event: Pick<ModelEvent, 'name' | 'type' | 'id' | 'rev'>;
  readonly body: Buffer;
  readonly signature: string;
  readonly expect: readonly ExpectedEnvelope[];
  /** Set by the sender once one delivery of the change was answered 2xx. */
  accepted: boolean;
}

export interface PlannedSend {
  readonly seq: number;
  readonly delivery: Delivery;
  readonly duplicate: boolean;
  /** A later revision of the object went out before this first delivery. */
  readonly overtaken: boolean;
}

/** Changes a held one may wait for a later change of its object: long enough for that to come along as a rule. */
export const HOLD_WINDOW = 8192;
/** Farthest re-delivery, in changes; half of them come much sooner, to meet the first one still under way. */
export const REPEAT_WINDOW = 1000;
const NEAR_REPEAT_WINDOW = 8;

export type DeliverySettings = Pick<FloodSettings, 'seed' | 'count' | 'conversations' | 'duplicates' | 'reorder'>;

export function plannedSends(settings: Pick<FloodSettings, 'count' | 'duplicates'>): number {
  return settings.count + repeats(settings);
}

function repeats(settings: Pick<FloodSettings, 'count' | 'duplicates'>): number {
  return Math.round(settings.count * settings.duplicates);
}

export function* floodSends(settings: DeliverySettings, targets: readonly FloodTarget[]): Generator<PlannedSend> {
  const random = createRandom(`deliveries:${settings.seed}`);
  const later = new Map<number, { readonly delivery: Delivery; readonly duplicate: boolean }[]>();
  const held = new Map<string, Delivery>();
  let repeatsLeft = repeats(settings);
  let changesLeft = settings.count;
  let position = 0;
  let seq = 0;

  const postpone = (to: number, delivery: Delivery, duplicate: boolean): void => {
    const due = later.get(to);
    if (due === undefined) later.set(to, [{ delivery, duplicate }]);
    else due.push({ delivery, duplicate });
  };

  function* release(delivery: Delivery, overtaken: boolean): Generator<PlannedSend> {
    // Selection sampling: exactly `repeats` of the changes, each choice equally likely.
    const repeated = random.next() * changesLeft < repeatsLeft;
    changesLeft -= 1;
    if (repeated) {
      repeatsLeft -= 1;
      postpone(position + 1 + random.int(random.chance(0.5) ? NEAR_REPEAT_WINDOW : REPEAT_WINDOW), delivery, true);
    }
    yield { seq: seq++, delivery, duplicate: false, overtaken };
  }

  function* releaseDue(): Generator<PlannedSend> {
    const due = later.get(position);
    later.delete(position);
    for (const { delivery, duplicate } of due ?? []) {
      if (duplicate) yield { seq: seq++, delivery, duplicate, overtaken: false };
      else if (held.get(holdKey(delivery)) === delivery) {
        held.delete(holdKey(delivery));
        yield* release(delivery, false);
      }
    }
  }

  for (const change of floodChanges(settings, targets)) {
    const delivery = deliveryOf(change, targets[change.target] as FloodTarget);
    const key = holdKey(delivery);
    const waiting = held.get(key);
    if (waiting === undefined && random.chance(settings.reorder)) {
      held.set(key, delivery);
      postpone(position + HOLD_WINDOW, delivery, false);
    } else {
      yield* release(delivery, false);
      if (waiting !== undefined) {
        held.delete(key);
        yield* release(waiting, true);
      }
    }
    yield* releaseDue();
    position += 1;
  }
  while (later.size > 0) {
    yield* releaseDue();
    position += 1;
  }
}

function holdKey(delivery: Delivery): string {
  return delivery.event.id;
}

function deliveryOf(change: FloodChange, target: FloodTarget): Delivery {
  const body = Buffer.from(JSON.stringify(change.event.body));
  const { name, type, id, rev } = change.event;
  return {
    target: change.target,
    event: { name, type, id, rev },
    body,
    signature: createHmac('sha256', target.token).update(body).digest('hex'),
    expect: expectedEnvelopes(change.event),
    accepted: false,
  };
}
