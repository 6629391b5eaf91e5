/**
 * What happens to conversations by the clock alone: SLA deadlines pass and snoozes elapse. Kept as a heap of due times;
 * an entry a later change made stale is found out when it comes due.
 *
 * A timer acts at the time it was due, not at the time someone looked: between two looks nobody could have noticed.
 */
import { Heap } from '../heap.ts';
import type { ModelEvent } from './event.ts';
import { isDeleted, type Organisation } from './organisation.ts';
import type { Attributes, Resource } from './resource.ts';
import { nextDeadlineMs, passDeadline, type Sla } from './sla.ts';

const TIMER = { userId: null, client: 'timer' } as const;
const SLA_ENGINE = { userId: null, client: 'sla' } as const;

export class Timers {
  readonly #due = new Heap<string>();
  readonly #dueMs = new Map<string, number>();
  readonly #snoozesElapse: boolean;

  constructor(snoozesElapse: boolean) {
    this.#snoozesElapse = snoozesElapse;
  }

  watch(resource: Resource): void {
    if (resource.type !== 'conversation') return;
    const atMs = this.#nextMs(resource.attributes);
    if (atMs === null) this.#dueMs.delete(resource.id);
    else if (this.#dueMs.get(resource.id) !== atMs) {
      this.#dueMs.set(resource.id, atMs);
      this.#due.push(atMs, resource.id);
    }
  }

  settle(organisation: Organisation, nowMs: number, slaBreachEmits: boolean): readonly ModelEvent[] {
    const events: ModelEvent[] = [];
    for (;;) {
      const atMs = this.#due.peekKey();
      if (atMs === undefined || atMs > nowMs) return events;
      const id = this.#due.pop() as string;
      if (this.#dueMs.get(id) !== atMs) continue;
      this.#dueMs.delete(id);
      const conversation = organisation.conversations.get(id);
      if (conversation === undefined || isDeleted(conversation)) continue;
      events.push(...this.#act(organisation, conversation, atMs, slaBreachEmits));
    }
  }

  #act(organisation: Organisation, conversation: Resource, atMs: number, emits: boolean): readonly ModelEvent[] {
    const sla = conversation.attributes['sla'] as Sla | undefined;
    if (sla !== undefined && nextDeadlineMs(sla) === atMs) {
      const decide = (): Attributes => ({ sla: passDeadline(sla, atMs) });
      const mutation = organisation.revisions.change(
        organisation.conversations,
        conversation,
        atMs,
        decide,
        SLA_ENGINE,
      );
      return mutation === null || !emits ? [] : [organisation.revisions.changed(mutation, SLA_ENGINE)];
    }
    if (this.#snoozesElapse && snoozeMs(conversation.attributes) === atMs) {
      return organisation.editConversation(atMs, conversation.id, { status: 'open' }, TIMER);
    }
    return [];
  }

  #nextMs(attributes: Attributes): number | null {
    const sla = attributes['sla'] as Sla | undefined;
    const deadlineMs = sla === undefined ? null : nextDeadlineMs(sla);
    const wakeMs = this.#snoozesElapse ? snoozeMs(attributes) : null;
    if (deadlineMs === null || wakeMs === null) return deadlineMs ?? wakeMs;
    return Math.min(deadlineMs, wakeMs);
  }
}

function snoozeMs(attributes: Attributes): number | null {
  if (attributes['status'] !== 'snoozed') return null;
  const { time } = attributes['snooze'] as { readonly time?: string };
  return time === undefined ? null : Date.parse(time);
}
