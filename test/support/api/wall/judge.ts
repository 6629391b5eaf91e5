/**
 * Whether anything came through the wall.
 *
 * J1  Where the other tenant exists and where it does not, the caller gets the same answer: status, headers and every byte,
 *     but for ids and times that are made anew each time. So what is another's is as what was never there.
 * J2  No answer has a text that only the other tenant knows, nor an id of it that was not in the question.
 * J3  Afterwards everything of the other tenant is as it was: its documents, the ends of its topics, what it sees itself.
 */

import { HEADER } from '../../../../src/kafka/headers.ts';
import type { Log } from '../../../../src/kafka/port.ts';
import { waitFor } from '../../wait-for.ts';
import type { Inventory } from './furnish.ts';
import type { Kind } from './kinds.ts';
import type { WallAnswer, WallSite } from './site.ts';

/** Those of them that are random, or say the time. */
const PASSING_HEADERS = /^(?:x-request-id|x-ratelimit-.*|date|content-length|connection|keep-alive|transfer-encoding)$/;

const PASSING: readonly (readonly [RegExp, string])[] = [
  [/\b(cn|key|cmd|co|req|rc|t)_[0-9a-f]{12,}/g, '$1_*'],
  [/\bsk_live_[0-9A-Za-z]+/g, 'sk_live_*'],
  [/…[0-9A-Za-z]{4}(?=")/g, '…*'],
  [/\bcur_[\w-]+/g, 'cur_*'],
  [/\bev_[\w-]{20}/g, 'ev_*'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '<time>'],
  [/\d+(?= of \d+ requests| were refused)/g, '<n>'],
  [/127\.0\.0\.1:\d+/g, '<here>'],
  [/\b\d+(?:\.\d+)?(?= ?m?s\b)/g, '<n>'],
];

/** An answer without what differs from one run to the next. */
export function lasting({ status, headers, text }: WallAnswer): string {
  const kept = Object.entries(headers)
    .filter(([name]) => !PASSING_HEADERS.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}: ${value}`);
  const masked = PASSING.reduce((told, [pattern, by]) => told.replace(pattern, by), [...kept, text].join('\n'));
  // Some lists are in the order of ids.
  const [, head = masked, rows] = /^([\s\S]*\{"object":"list","data":)(\[.*\])(?=,"has_more")/.exec(masked) ?? [];
  const sorted =
    rows === undefined ? '' : JSON.stringify((JSON.parse(rows) as unknown[]).map((row) => JSON.stringify(row)).sort());
  return `${status}\n${head}${sorted}${rows === undefined ? '' : masked.slice(head.length + rows.length)}`;
}

/** Kinds of which the caller can never have one of the same id. */
const UNIQUE: readonly Kind[] = ['token', 'connector', 'event', 'receipt', 'approval', 'command', 'cursor'];

export interface Leak {
  readonly what: 'differs' | 'canary' | 'id';
  readonly detail: string;
}

export function createJudge(far: Inventory) {
  const names = new Set(far.ids.connectorName);
  const ids = UNIQUE.flatMap((kind) => far.ids[kind]).filter((id) => !names.has(id));
  const suspicious = new RegExp([...far.canaries, ...ids].map(escaped).join('|'), 'g');
  const canaries = new Set(far.canaries);
  return {
    /** J2. `asked`: everything the caller has sent with it. */
    look(answer: WallAnswer, asked: string): Leak | null {
      const told = `${JSON.stringify(answer.headers)}\n${answer.text}`;
      for (const [found] of told.matchAll(suspicious)) {
        if (canaries.has(found)) return { what: 'canary', detail: found };
        if (!asked.includes(found)) return { what: 'id', detail: found };
      }
      return null;
    },
    /** J1 */
    compare(here: WallAnswer, alone: WallAnswer): Leak | null {
      const [one, other] = [lasting(here), lasting(alone)];
      return one === other
        ? null
        : { what: 'differs', detail: `${one}\n--- where the other tenant does not exist:\n${other}` };
    },
  };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Everything that is not the caller's, as it stands in the log and as the other tenant sees it. */
export interface TenantState {
  /** Of the control topic: all that are not the caller's. */
  readonly documents: Readonly<Record<string, string>>;
  /** Of its own topics, and how many records of the shared ones are not the caller's. */
  readonly ends: Readonly<Record<string, number>>;
  readonly seen: Readonly<Record<string, string>>;
}

const SEEN = [
  'whoami',
  'connectors',
  'capabilities',
  'grants',
  'policies',
  'tokens',
  'events',
  'receipts',
  'approvals',
  'parked',
] as const;

export async function stateOf(site: WallSite, far: Inventory, callerId: string): Promise<TenantState> {
  const { log, names } = site;
  const documents: Record<string, string> = {};
  for (const { key, value } of await recordsOf(log, names.control)) {
    const [name, text] = [key?.toString() ?? '', value?.toString() ?? ''];
    const isCallers = name.split('/')[1] === callerId || text.includes(`"tenant_id":"${callerId}"`);
    if (!(name in documents) && (!name.includes('/') || text === '' || isCallers)) continue;
    // Its own last use is written down by the sweep, a while after it.
    documents[name] = text.replace(/"last_used_at_ms":(?:\d+|null)/, '');
  }
  const ends: Record<string, number> = {};
  // Nobody but the API writes here, and it writes to these for nobody.
  for (const topic of [
    names.events(far.tenantId),
    names.receipts(far.tenantId),
    names.cursors,
    names.ledger,
    names.quota,
  ]) {
    ends[topic] = (await recordsOf(log, topic)).length;
  }
  const commands = await recordsOf(log, names.commands);
  ends[names.commands] = commands.filter(({ headers }) => headers[HEADER.tenant]?.toString() !== callerId).length;
  const seen: Record<string, string> = {};
  for (const path of SEEN) {
    const url = `/v1/${path}${path === 'whoami' ? '' : '?limit=100'}`;
    const answer = await site.send({ method: 'GET', url, token: far.token });
    seen[path] = answer.text.replaceAll(/"(?:last_used_at|cursor|next_cursor)":(?:"[^"]*"|null)/g, '');
  }
  return { documents, ends, seen };
}

interface Read {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
}

async function recordsOf(log: Log, topic: string): Promise<readonly Read[]> {
  const [described] = await log.admin.describeTopics([topic]);
  if (described === undefined) return [];
  const reader = await log.reader({ clientId: 'judge', topics: [topic] });
  const records: Read[] = [];
  for (let partition = 0; partition < described.partitions; partition += 1) {
    const { low, high } = await log.admin.watermarks({ topic, partition });
    if (low >= high) continue;
    const progress = { position: low, failure: null as unknown, quietSince: performance.now() };
    const reached = (position: number): void => {
      Object.assign(progress, { position: Math.max(progress.position, position), quietSince: performance.now() });
    };
    const follow = reader.follow({
      ...{ topic, partition, fromOffset: low },
      records: (batch) => {
        records.push(...batch.records.filter(({ offset }) => offset < high));
        reached((batch.records.at(-1)?.offset ?? -1) + 1);
      },
      passed: reached,
      failed: (error) => {
        progress.failure = error;
      },
    });
    // The last offsets of a partition are seldom records: after a while of silence the one that is missing is a marker.
    const isDone = () => {
      if (progress.failure !== null) throw progress.failure;
      return (
        progress.position >= high || (progress.position >= high - 1 && performance.now() - progress.quietSince > 500)
      );
    };
    await waitFor(isDone, { message: `the end of ${topic}/${partition}`, deadlineMs: 20_000 });
    await follow.stop();
  }
  await reader.close();
  return records;
}
