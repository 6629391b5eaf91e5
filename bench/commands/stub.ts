/**
 * The vendor of the bench as a process: notes are written after a fixed time and can be read back. It does the least that is
 * truthful, since the simulator's care would be measured along. It never deduplicates: it counts what it was sent.
 *
 *   POST /v1/conversations/<id>/notes     201 after SERVICE_MS        GET the same: what was written
 *   GET /_stub/first | /_stub/wait?unique=<n> | /_stub/summary
 *
 * env: PORT, SERVICE_MS
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { StubSummary } from './stub-client.ts';
import { nowUs } from './workload.ts';

const SERVICE_MS = Number(process.env['SERVICE_MS'] ?? 2);
const NOTES = /^\/v1\/conversations\/([0-9a-f]{24})(\/notes)?(?:\?.*)?$/;
/** `#<place in the conversation> @<sent at, µs> …`, see workload.ts. */
const MARK = /^#(\d+) @(\d+) /;

interface Conversation {
  readonly notes: object[];
  readonly seen: Set<number>;
  newest: number;
  underWay: number;
}

const conversations = new Map<string, Conversation>();
const waiting: { readonly unique: number; readonly answer: () => void }[] = [];
const firstWaiting: (() => void)[] = [];
const doneAtUs: number[] = [];
const toArrivalUs: number[] = [];
const toAnswerUs: number[] = [];
let [calls, unique, answered, duplicates, behindNewer, disorder, overlaps, reads, underWay, mostUnderWay] =
  Array(10).fill(0);
let firstAtUs = 0;
let lastAtUs = 0;
let longestGapUs = 0;

const server = createServer((request, response) => {
  const url = request.url ?? '';
  if (url.startsWith('/_stub/')) return control(url, response);
  const [, id, notes] = NOTES.exec(url) ?? [];
  if (id === undefined) return answer(response, 404, { errors: [{ title: 'not found' }] });
  if (request.method === 'POST') return receive(request, response, id);
  reads += 1;
  const data = notes === undefined ? document(id) : (conversations.get(id)?.notes ?? []);
  answer(
    response,
    200,
    notes === undefined ? { data } : { data, meta: { page: 1, pageSize: 100 }, links: { next: null } },
  );
});

function receive(request: IncomingMessage, response: ServerResponse, id: string): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const arrivedAtUs = nowUs();
    const { body, externalId = null } = JSON.parse(Buffer.concat(chunks).toString());
    const [, seq = '0', sentAtUs = '0'] = MARK.exec(body) ?? [];
    const conversation = begin(id, Number(seq), Number(sentAtUs), arrivedAtUs);
    setTimeout(() => {
      conversation.underWay -= 1;
      underWay -= 1;
      const note = {
        type: 'note',
        id: `5b${(answered + 1).toString(16).padStart(22, '0')}`,
        attributes: { body, externalId, createdAt: new Date().toISOString() },
      };
      conversation.notes.push(note);
      answer(response, 201, { data: note });
      finish(Number(sentAtUs));
    }, SERVICE_MS);
  });
}

function begin(id: string, seq: number, sentAtUs: number, arrivedAtUs: number): Conversation {
  if (firstAtUs === 0) {
    firstAtUs = arrivedAtUs;
    for (const tell of firstWaiting.splice(0)) tell();
  }
  const conversation = conversations.get(id) ?? { notes: [], seen: new Set(), newest: 0, underWay: 0 };
  conversations.set(id, conversation);
  calls += 1;
  if (conversation.seen.has(seq)) {
    duplicates += 1;
    if (seq < conversation.newest) behindNewer += 1;
  } else {
    if (seq !== conversation.newest + 1) disorder += 1;
    conversation.seen.add(seq);
    conversation.newest = Math.max(conversation.newest, seq);
    unique += 1;
    if (sentAtUs > 0) toArrivalUs.push(arrivedAtUs - sentAtUs);
  }
  conversation.underWay += 1;
  if (conversation.underWay > 1) overlaps += 1;
  underWay += 1;
  mostUnderWay = Math.max(mostUnderWay, underWay);
  return conversation;
}

function finish(sentAtUs: number): void {
  const doneUs = nowUs();
  if (lastAtUs > 0) longestGapUs = Math.max(longestGapUs, doneUs - lastAtUs);
  lastAtUs = doneUs;
  answered += 1;
  doneAtUs.push(doneUs);
  if (sentAtUs > 0) toAnswerUs.push(doneUs - sentAtUs);
  for (let at = waiting.length - 1; at >= 0; at--) {
    const waiter = waiting[at];
    if (waiter === undefined || unique < waiter.unique || underWay > 0) continue;
    waiting.splice(at, 1);
    waiter.answer();
  }
}

function document(id: string): object {
  return { type: 'conversation', id, attributes: { status: 'open', rev: 1 } };
}

/** Kustomer's limit is not what is measured here. */
const HEADERS = {
  'content-type': 'application/json',
  'x-ratelimit-limit': '1000000',
  'x-ratelimit-remaining': '999999',
};

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { ...HEADERS, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function control(url: string, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(url, 'http://stub');
  const ok = () => answer(response, 200, {});
  if (pathname === '/_stub/first') {
    if (firstAtUs > 0) ok();
    else firstWaiting.push(ok);
  } else if (pathname === '/_stub/wait') {
    const wanted = Number(searchParams.get('unique'));
    if (unique >= wanted && underWay === 0) ok();
    else waiting.push({ unique: wanted, answer: ok });
  } else answer(response, 200, summary());
}

function summary(): StubSummary {
  const half = doneAtUs.length >> 1;
  const halfAtUs = doneAtUs[half - 1] ?? firstAtUs;
  return {
    calls,
    unique,
    duplicates,
    behindNewer,
    disorder,
    overlaps,
    reads,
    mostUnderWay,
    firstAtUs,
    lastAtUs,
    longestGapMs: longestGapUs / 1000,
    perSecond: (doneAtUs.length * 1e6) / (lastAtUs - firstAtUs),
    secondHalfPerSecond: ((doneAtUs.length - half) * 1e6) / (lastAtUs - halfAtUs),
    toArrivalUs,
    toAnswerUs,
  };
}

server.keepAliveTimeout = 120_000;
server.listen(Number(process.env['PORT']), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
