/** An event for people: the line of a tail, and all its fields. Pure. */
import { printable } from '../base/printable.ts';
import type { Cell } from './terminal/table.ts';
import { clockTime, showTime } from './times.ts';

/** The ten fields of the envelope and what the API adds; none is relied on. */
export interface EventLike {
  readonly id?: string;
  readonly event_id?: string;
  readonly event_type?: string;
  readonly source?: string;
  readonly tenant_id?: string;
  readonly reseller_id?: string | null;
  readonly workspace_id?: string | null;
  readonly correlation_id?: string | null;
  readonly agent_id?: string | null;
  readonly session_id?: string | null;
  readonly observed_at?: string | null;
  readonly payload?: Readonly<Record<string, unknown>>;
}

/** Ids and states are shown; what people wrote is not: a terminal is read over shoulders, and --json has it all. */
const SHOWN = [
  'conversation_id',
  'message_id',
  'customer_id',
  'direction',
  'channel',
  'previous_status',
  'status',
  'reopened',
  'score',
] as const;

/** `[12:00:00] envelope conversation.created src=kustomer tenant=t_acme corr=co_1 conversation_id=…` */
export function eventLine(event: EventLike, nowMs: number): string {
  const at = Date.parse(event.observed_at ?? '');
  const payload = event.payload ?? {};
  const facts = SHOWN.flatMap((name) => {
    const value = payload[name];
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? [`${name}=${value}`]
      : [];
  });
  const words = [
    clockTime(Number.isNaN(at) ? nowMs : at),
    'envelope',
    event.event_type ?? '(no type)',
    `src=${event.source ?? '-'}`,
    `tenant=${event.tenant_id ?? '-'}`,
    `corr=${event.correlation_id ?? '-'}`,
    ...facts,
  ];
  return printable(words.join(' '));
}

export function eventFields(event: EventLike): readonly (readonly [string, Cell])[] {
  return [
    ['event', event.id ?? event.event_id ?? '-'],
    ['type', event.event_type ?? '-'],
    ['source', event.source ?? '-'],
    ['tenant', event.tenant_id ?? '-'],
    ['reseller', event.reseller_id ?? '(none)'],
    ['workspace', event.workspace_id ?? '(none)'],
    ['correlation', event.correlation_id ?? '-'],
    ['observed', showTime(event.observed_at)],
  ];
}
