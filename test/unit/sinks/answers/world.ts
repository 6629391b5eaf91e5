/**
 * One partition of commands with its ledger, people who answer, owners that come and go, and a Kustomer that takes notes: all
 * in virtual time, so that an answer, the moment of expiry and the end of an owner can fall together.
 */

import { CodedError } from '../../../../src/base/errors.ts';
import { createCommandType } from '../../../../src/fibric/commands/avro.ts';
import { composeCommand } from '../../../../src/fibric/commands/compose-command.ts';
import type { WireReceipt } from '../../../../src/fibric/commands/receipt-fields.ts';
import { CONNECTION_SETTINGS, type Connection } from '../../../../src/fibric/connection.ts';
import { WRITE_CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';
import { compilePolicies } from '../../../../src/fibric/policy/compile.ts';
import { parsePolicy } from '../../../../src/fibric/policy/parse.ts';
import { changePolicies, NO_POLICIES } from '../../../../src/fibric/policy/versions.ts';
import { VirtualClock } from '../../../../src/kafka/memory/index.ts';
import type { OwnedPartition } from '../../../../src/kafka/owner-worker.ts';
import type { Append, LogRecord } from '../../../../src/kafka/port.ts';
import { topicNames } from '../../../../src/kafka/topics.ts';
import { WireDecoder, WireEncoder } from '../../../../src/kafka/wire.ts';
import type { KustomerCall, KustomerClient } from '../../../../src/kustomer/client/client.ts';
import { failure, type Outcome } from '../../../../src/kustomer/client/outcome.ts';
import { type AnswerKind, composeAnswerRecord } from '../../../../src/sinks/answers/answer.ts';
import { createAnswerMac } from '../../../../src/sinks/answers/mac.ts';
import { decodeEntry } from '../../../../src/sinks/ledger/codec.ts';
import type { LedgerEntry } from '../../../../src/sinks/ledger/entry.ts';
import { externalIdOf } from '../../../../src/sinks/ledger/identity.ts';
import { LIFECYCLE_DEFAULTS } from '../../../../src/sinks/lifecycle/config.ts';
import type { SinkQuota } from '../../../../src/sinks/quota/port.ts';
import { SINK_DEFAULTS, Sink } from '../../../../src/sinks/runner/sink.ts';

export const TTL_MS = 1000;
const TENANT = 't_acme';
const CONVERSATION = 'a'.repeat(24);
const SCHEMA_ID = 7;
const STATE_MAX_BYTES = 2 ** 24;
const IDENTITY = /^[0-9a-f]{32}$/;
const CONFIRM =
  'policy: p\nrules:\n  - require_confirmation: conversation.note.write\n    limit: { per: day, max: 9 }\ndefault: deny\n';

/** Waiting and reading back take moments, in proportion to what the clock of a test can bear. */
const LIFECYCLE = {
  ...LIFECYCLE_DEFAULTS,
  sendWindowMs: 100,
  requestTimeoutMs: 100,
  guardMs: 20,
  visibilityMs: 40,
  earlyReadsMs: [10],
  readSpacingMs: 10,
  backoffMinMs: 5,
  backoffMaxMs: 20,
};

export type CommitFate = 'done' | 'lost' | 'unknown but done' | 'unknown and lost';

export interface RacePlan {
  /** Held from the start, in the lane of one conversation. */
  readonly commands: number;
  readonly answers: readonly {
    readonly of: number;
    readonly answer: AnswerKind;
    /** After the commands were sent. */
    readonly atMs: number;
    readonly copies: number;
  }[];
  /** When owners end, and how long nobody owns the partition then. */
  readonly ends: readonly { readonly atMs: number; readonly how: 'stop' | 'crash'; readonly gapMs: number }[];
  /** Of the commits, in turn; `done` from then on. */
  readonly fates: readonly CommitFate[];
  readonly commitMs: number;
  readonly reserveMs: number;
  readonly callMs: number;
}

const connection: Connection = {
  connectionId: 'cn_acme',
  tenantId: TENANT,
  resellerId: null,
  workspaceId: null,
  name: 'kustomer-prod',
  subdomain: 'acme',
  orgId: null,
  apiBaseUrl: 'http://127.0.0.1:1',
  hasApiKey: true,
  startedAtMs: 0,
  webhookId: null,
  previousWebhookId: null,
  settings: { ...CONNECTION_SETTINGS, machineUserId: 'b'.repeat(24) },
};
const commandType = createCommandType();
const encoder = new WireEncoder({ schemaId: SCHEMA_ID, type: commandType });
const mac = createAnswerMac([Buffer.alloc(32, 1)]);
const names = topicNames('');
const policies = (() => {
  const parsed = parsePolicy(CONFIRM, WRITE_CAPABILITIES);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return compilePolicies(
    TENANT,
    changePolicies(NO_POLICIES, { do: 'apply', document: parsed.document, by: 'test', nowMs: 0 }).set,
  );
})();
const grants = {
  exposed: new Set(WRITE_CAPABILITIES.map(({ name }) => name)),
  granted: new Map([['op', new Set(WRITE_CAPABILITIES.map(({ name }) => name))]]),
};

export interface HeldOne {
  readonly identity: string;
  readonly receiptId: string;
  readonly expiresAtMs: number;
}

export class RaceWorld {
  readonly clock = new VirtualClock();
  readonly receipts: WireReceipt[] = [];
  readonly dead: string[] = [];
  readonly notes: { readonly id: string; readonly externalId: string }[] = [];
  readonly failures: unknown[] = [];
  readonly input: LogRecord[] = [];
  readonly state = new Map<string, Buffer>();
  offset = 0;
  epoch = 0;
  /** Of the next commits. */
  readonly fates: CommitFate[] = [];
  readonly #plan: RacePlan;
  #owner: { readonly owned: FakeOwned; readonly serving: Promise<void> } | undefined;
  #isClosing = false;
  #wake: () => void = () => undefined;

  constructor(plan: RacePlan) {
    this.#plan = plan;
  }

  get entries(): ReadonlyMap<string, LedgerEntry> {
    const entries = [...this.state].filter(([key]) => IDENTITY.test(key));
    return new Map(entries.map(([key, value]) => [key, decodeEntry(value)]));
  }

  get held(): readonly HeldOne[] {
    return [...this.entries].flatMap(([identity, entry]) =>
      entry.kind === 'held' ? [{ identity, receiptId: entry.receiptId, expiresAtMs: entry.expiresAtMs }] : [],
    );
  }

  /** How many notes a command has come to. */
  notesOf(identity: string): number {
    return this.notes.filter(({ externalId }) => externalId === externalIdOf(identity)).length;
  }

  append({ key, value, headers = {} }: Pick<Append, 'key' | 'value' | 'headers'>): void {
    const texts = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)] as const);
    const place = { topic: names.commands, partition: 0, offset: this.input.length };
    this.input.push({ ...place, key, value, headers: Object.fromEntries(texts), timestampMs: this.clock.nowMs() });
    this.#wake();
  }

  command(number: number): void {
    const composed = composeCommand(
      {
        commandId: `cmd-${number}`,
        tenantId: TENANT,
        connection: connection.name,
        capability: 'conversation.note.write',
        args: { conversation_id: CONVERSATION, body: `note ${number}` },
        idempotencyKey: `key-${number}`,
        operator: 'op',
        correlationId: 'corr',
        mode: 'live',
      },
      this.clock.nowMs(),
    );
    if ('problems' in composed) throw new Error(JSON.stringify(composed.problems));
    this.append({ key: Buffer.from(composed.key), value: encoder.encode(composed.wire) });
  }

  answer({ identity, receiptId }: HeldOne, answer: AnswerKind): void {
    const said = { tenantId: TENANT, identity, receiptId, answer, by: 'ann', note: null, vendorId: null };
    const place = { topic: names.commands, partition: 0, key: CONVERSATION };
    this.append(composeAnswerRecord({ ...said, atMs: this.clock.nowMs() }, place, mac));
  }

  /** Owned from now on, by one after another. */
  begin(): void {
    const owned = new FakeOwned(this);
    this.#wake = () => owned.wake();
    const serving = this.#sink()
      .serve(owned)
      .catch((error: unknown) => {
        if (!(error instanceof CodedError)) this.failures.push(error);
      });
    this.#owner = { owned, serving };
    // Let go by itself, after a commit that failed.
    void serving.then(async () => {
      await this.clock.sleep(1);
      if (this.#owner?.owned === owned) this.#next();
    });
  }

  /** `stop`: it may finish what is under way first. `crash`: it is fenced at once, and knows it only when it commits. */
  replace(how: 'stop' | 'crash', gapMs: number): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    this.#owner = undefined;
    if (how === 'crash') owner.owned.isFenced = true;
    owner.owned.end.abort();
    const gone = how === 'crash' ? Promise.resolve() : owner.serving;
    void gone.then(() => this.clock.sleep(gapMs)).then(() => this.#next());
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#owner?.owned.end.abort();
    await this.#owner?.serving;
  }

  #next(): void {
    if (!this.#isClosing) this.begin();
  }

  async commit(
    appends: readonly Append[],
    changes: ReadonlyMap<string, Buffer | null>,
    { nextOffset, isFenced }: { readonly nextOffset: number | undefined; readonly isFenced: () => boolean },
  ): Promise<void> {
    await this.clock.sleep(this.#plan.commitMs);
    if (isFenced()) throw new CodedError('fenced', 'succeeded');
    const fate = this.fates.shift() ?? 'done';
    if (fate === 'done' || fate === 'unknown but done') {
      for (const [key, value] of changes) {
        if (value === null) this.state.delete(key);
        else this.state.set(key, value);
      }
      for (const { topic, value } of appends) {
        if (topic === names.dead) this.dead.push(String(value));
        else this.receipts.push(JSON.parse(String(value)));
      }
      this.offset = nextOffset ?? this.offset;
    }
    if (fate === 'lost') throw new CodedError('log_unavailable', 'not committed');
    if (fate !== 'done') throw new CodedError('commit_unknown', 'who knows');
  }

  #sink(): Sink {
    return new Sink({
      topics: names,
      connections: {
        knows: () => true,
        canBeTold: () => true,
        find: () => connection,
        client: () => this.#client(),
      },
      policies: { of: () => policies, grants: () => grants },
      quota: this.#quota(),
      decoder: new WireDecoder({
        readerType: commandType as never,
        fetchSchema: async () => JSON.stringify((commandType as never as { schema(): unknown }).schema()),
      }),
      answers: mac,
      encodeReceipt: (receipt) => Buffer.from(JSON.stringify(receipt)),
      ensureReceipts: () => undefined,
      observer: { disposed: () => undefined, buried: () => undefined, answerIgnored: () => undefined },
      // The pace is no whole number, and the times of the ledger are.
      clock: { nowMs: () => this.clock.nowMs(), sleep: (ms, signal) => this.clock.sleep(Math.ceil(ms), signal) },
      random: () => 0.5,
      settings: {
        ...SINK_DEFAULTS,
        lifecycle: LIFECYCLE,
        drainMs: 150,
        approvalTtlMs: TTL_MS,
        stateMaxBytes: STATE_MAX_BYTES,
      },
    });
  }

  #quota(): SinkQuota {
    return {
      usage: () => ({ used: 0, freeAtMs: 0 }),
      reserve: async ({ signal }) => {
        await this.clock.sleep(this.#plan.reserveMs, signal);
        if (signal.aborted) return { kind: 'unavailable', message: 'given up' };
        return { kind: 'granted', untilMs: this.clock.nowMs() + 10_000 };
      },
      hurry: () => undefined,
      release: () => undefined,
    };
  }

  #client(): KustomerClient {
    const ok = (body: unknown): Outcome<unknown> => ({ kind: 'ok', status: 200, headers: {} as never, body });
    const call = async ({ operation, method, body, maySend, signal }: KustomerCall): Promise<Outcome<unknown>> => {
      if (signal?.aborted || maySend?.() === false) return failure('not_sent', { operation, message: 'given up' });
      await this.clock.sleep(this.#plan.callMs);
      if (method === 'GET' && operation === 'conversation.get') {
        return ok({ data: { type: 'conversation', id: CONVERSATION, attributes: {} } });
      }
      if (method === 'GET') {
        const data = this.notes.map(({ id, externalId }) => ({ type: 'note', id, attributes: { externalId } }));
        return ok({ data });
      }
      const id = `${this.notes.length}`.padStart(24, '0');
      this.notes.push({ id, externalId: String((body as { externalId: string }).externalId) });
      if (signal?.aborted) return failure('ambiguous', { operation, message: 'its caller has gone' });
      return ok({ data: { type: 'note', id } });
    };
    return { call, health: () => ({}) as never, close: async () => undefined };
  }
}

class FakeOwned implements OwnedPartition {
  readonly partition = 0;
  readonly epoch: number;
  readonly end = new AbortController();
  readonly input: NonNullable<OwnedPartition['input']>;
  isFenced = false;
  readonly #world: RaceWorld;
  readonly #state: Map<string, Buffer>;
  #wake: () => void = () => undefined;
  #position: number;
  #tail: Promise<void> = Promise.resolve();

  constructor(world: RaceWorld) {
    this.#world = world;
    this.epoch = ++world.epoch;
    this.#state = new Map(world.state);
    this.#position = world.offset;
    this.input = {
      position: this.#position,
      listen: (wake) => {
        this.#wake = wake;
      },
      take: (most) => {
        const records = world.input.slice(this.#position, this.#position + most);
        this.#position += records.length;
        return records;
      },
      seek: (offset) => {
        const at = world.input.findIndex((record) => record.offset >= offset);
        this.#position = at === -1 ? world.input.length : at;
      },
      offsetSince: async () => world.input.length,
    };
  }

  get signal(): AbortSignal {
    return this.end.signal;
  }

  get leaseUntilMs(): number {
    return this.isFenced ? 0 : this.#world.clock.nowMs() + 10_000;
  }

  get stateBytes(): number {
    return 0;
  }

  wake(): void {
    this.#wake();
  }

  get(key: string): Buffer | undefined {
    return this.#state.get(key);
  }

  entries(): Iterable<readonly [string, Buffer]> {
    return this.#state.entries();
  }

  /** Nothing grows old here. */
  sweep(): readonly string[] {
    return [];
  }

  partitionOf(): number {
    return 0;
  }

  /** O4: one at a time; one that fails ends the ownership. */
  commit(appends: readonly Append[], changes: ReadonlyMap<string, Buffer | null>, nextOffset?: number): Promise<void> {
    const copied = new Map(changes);
    const committed = this.#tail.then(async () => {
      if (this.isFenced) throw new CodedError('fenced', 'succeeded');
      try {
        await this.#world.commit(appends, copied, { nextOffset, isFenced: () => this.isFenced });
      } catch (error) {
        this.isFenced = true;
        this.end.abort();
        throw error;
      }
      for (const [key, value] of copied) {
        if (value === null) this.#state.delete(key);
        else this.#state.set(key, value);
      }
    });
    this.#tail = committed.catch(() => undefined);
    return committed;
  }
}

export interface Raced {
  readonly world: RaceWorld;
  readonly held: readonly HeldOne[];
  /** When each answer was appended. */
  readonly startMs: number;
}

/** Runs a plan to the time when everything that can happen has happened. */
export async function race(plan: RacePlan): Promise<Raced> {
  const world = new RaceWorld(plan);
  const { clock } = world;
  world.begin();
  for (let number = 0; number < plan.commands; number++) world.command(number);
  await clock.runUntil(() => world.held.length === plan.commands);
  const held = world.held;
  const startMs = clock.nowMs();
  world.fates.push(...plan.fates);
  const answers = plan.answers.map(({ of, answer, atMs, copies }) => ({
    atMs,
    run: () => {
      for (let copy = 0; copy < copies; copy++) world.answer(held[of % held.length] as HeldOne, answer);
    },
  }));
  const ends = plan.ends.map(({ atMs, how, gapMs }) => ({ atMs, run: () => world.replace(how, gapMs) }));
  for (const { atMs, run } of [...answers, ...ends].sort((a, b) => a.atMs - b.atMs)) {
    await clock.advance(Math.max(0, startMs + atMs - clock.nowMs()));
    run();
  }
  await clock.advance(10 * TTL_MS);
  const closing = world.close();
  await clock.advance(TTL_MS);
  await closing;
  return { world, held, startMs };
}
