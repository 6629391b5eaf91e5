/**
 * The changes of a flood, one after the other: a pure function of the seed and the targets' ids. Each target is an
 * organisation of its own, with its own ids, so floods with different seeds never meet in one object.
 */
import type { ModelEvent } from '../model/event.ts';
import { Organisation } from '../model/organisation.ts';
import { createRandom, type Random } from '../model/random.ts';
import { openConversation, staffOrganisation, trafficStep } from '../model/traffic.ts';
import type { FloodSettings, FloodTarget } from './options.ts';

export interface FloodChange {
  /** Index into the targets. */
  readonly target: number;
  readonly event: ModelEvent;
}

/** The organisations' own time: fixed, so that bodies do not depend on when the flood runs. */
const VIRTUAL_START_MS = Date.parse('2025-01-06T09:00:00.000Z');
const MAX_STEP_MS = 20;

/** Messages only live on to be updated once in a while. */
const MAX_MESSAGES = 500;

/** Conversations are opened over this share of the flood, so creations and changes mix. */
const OPENING_SHARE = 1 / 3;

export type ChangeSettings = Pick<FloodSettings, 'seed' | 'count' | 'conversations'>;
export type ChangeTarget = Pick<FloodTarget, 'tenantId' | 'connectionId' | 'orgId'>;

export function* floodChanges(settings: ChangeSettings, targets: readonly ChangeTarget[]): Generator<FloodChange> {
  const random = createRandom(`flood:${settings.seed}`);
  const streams = targets.map((target) => new TargetStream(settings, target, targets.length));
  for (let made = 0; made < settings.count; ) {
    const target = random.int(streams.length);
    for (const event of (streams[target] as TargetStream).step()) {
      if (made === settings.count) return;
      made += 1;
      yield { target, event };
    }
  }
}

class TargetStream {
  readonly #organisation: Organisation;
  readonly #random: Random;
  readonly #conversations: number;
  readonly #openingEvents: number;
  #nowMs = VIRTUAL_START_MS;
  #events = 0;

  constructor(settings: ChangeSettings, target: ChangeTarget, targets: number) {
    const seed = `flood:${settings.seed}:${target.tenantId}:${target.connectionId}:${target.orgId}`;
    this.#random = createRandom(seed);
    this.#conversations = Math.max(1, Math.ceil(settings.conversations / targets));
    this.#openingEvents = (settings.count / targets) * OPENING_SHARE;
    this.#organisation = new Organisation({ orgId: target.orgId, name: 'flood', seed, maxMessages: MAX_MESSAGES });
    // Staff is there before the flood begins: its creation is not part of it.
    staffOrganisation(this.#organisation, this.#nowMs);
  }

  step(): readonly ModelEvent[] {
    this.#nowMs += 1 + this.#random.int(MAX_STEP_MS);
    const opened = this.#organisation.conversations.size;
    const wanted = Math.ceil(this.#conversations * Math.min(1, (this.#events + 1) / this.#openingEvents));
    const events =
      opened < wanted
        ? openConversation(this.#organisation, this.#nowMs, this.#random)
        : trafficStep(this.#organisation, this.#nowMs, this.#random);
    this.#events += events.length;
    return events;
  }
}
