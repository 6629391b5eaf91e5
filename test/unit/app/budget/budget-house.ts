/** Processes with real budgets over the in-memory log, under virtual time, calling a server that counts as Kustomer does. */
import { onTestFinished } from 'vitest';
import { type Budgets, createBudgets } from '../../../../src/app/budget/index.ts';
import { createLogger, type Metrics } from '../../../../src/app/telemetry.ts';
import { createMemoryLog, type MemoryLog, VirtualClock } from '../../../../src/kafka/memory/index.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../../../../src/kafka/topics.ts';
import type { CallKind, Lane } from '../../../../src/kustomer/budget/lanes.ts';
import type { CallEnd } from '../../../../src/kustomer/client/budget-gate.ts';
import { type ModelOptions, ServerModel } from '../../kustomer/budget/server-model.ts';

export const ORGANISATION = 'org/acme';
const NAMES = topicNames('');

const silentMetrics: Metrics = {
  add: () => undefined,
  setTotal: () => undefined,
  set: () => undefined,
  observe: () => undefined,
  onScrape: () => undefined,
  values: async () => [] as never,
  text: async () => '',
  contentType: '',
};

export interface Process {
  readonly name: string;
  readonly log: MemoryLog;
  readonly budgets: Budgets;
  readonly crashes: unknown[];
  dead: boolean;
  /** Nothing leaves until then. */
  frozen: { readonly thawed: Promise<void>; readonly thaw: () => void } | null;
}

export interface Sent {
  readonly process: string;
  readonly lane: Lane;
  readonly atMs: number;
  readonly status: number;
}

export class BudgetHouse {
  readonly clock = new VirtualClock();
  readonly log: MemoryLog;
  readonly server: ServerModel;
  readonly sent: Sent[] = [];
  readonly waits: { readonly lane: Lane; readonly ms: number }[] = [];
  readonly refusals: unknown[] = [];
  #names = 0;
  #random = 1;

  private constructor(server: Partial<ModelOptions>, latencyMs: () => number) {
    this.log = createMemoryLog({ clock: this.clock, latencyMs });
    this.server = new ServerModel({
      limit: 300,
      searchLimit: 100,
      offsetMs: 12_345,
      skewMs: 0,
      reset: 'always',
      retryAfter: false,
      date: true,
      ...server,
    });
  }

  static async build(server: Partial<ModelOptions> = {}, latencyMs = () => 2): Promise<BudgetHouse> {
    const house = new BudgetHouse(server, latencyMs);
    const topics = fixedTopics(TOPIC_DEFAULTS).filter(({ name }) =>
      [NAMES.budgetAsks, NAMES.budgetLeases].includes(name),
    );
    await house.clock.run(house.log.admin.createTopics(topics));
    return house;
  }

  /** In [0, 1), the same in every run. */
  random(): number {
    this.#random = (this.#random * 48_271) % 2_147_483_647;
    return this.#random / 2_147_483_647;
  }

  async start(): Promise<Process> {
    const log = this.log.connect();
    const crashes: unknown[] = [];
    this.#names += 1;
    const name = `process-${this.#names}`;
    let ids = 0;
    const budgets = await this.clock.run(
      createBudgets({
        log,
        settings: {
          topicPrefix: '',
          sessionTimeoutMs: 15_000,
          shutdownMs: 4000,
          apiBudgetShare: 70,
          apiSearchBudgetShare: 100,
        },
        logger: createLogger('silent'),
        metrics: silentMetrics,
        crashed: (error) => crashes.push(error),
        clock: this.clock,
        random: () => this.random(),
        uniqueId: () => {
          ids += 1;
          return `${name}-${ids}`;
        },
      }),
    );
    const process: Process = { name, log, budgets, crashes, dead: false, frozen: null };
    onTestFinished(() => log.close());
    return process;
  }

  /** One call through the process's gate: counted by the server half-way, unless the process stands still or is gone. */
  async call(
    process: Process,
    { lane = 'backfill', kind = 'call', waitMs = 120_000, tookMs = 100 }: Calling = {},
  ): Promise<number | null> {
    const sinceMs = this.clock.nowMs();
    const gate = process.budgets.gateFor(ORGANISATION);
    try {
      return await gate.run({ lane, kind, waitMs }, async () => {
        this.waits.push({ lane, ms: this.clock.nowMs() - sinceMs });
        await this.clock.sleep(tookMs / 2);
        if (process.frozen !== null) await process.frozen.thawed;
        // Killed before it could send: nobody is told.
        if (process.dead) return { value: null, end: { ending: 'unanswered' } };
        const { status, headers } = this.server.ours(this.clock.nowMs(), kind === 'search');
        this.sent.push({ process: process.name, lane, atMs: this.clock.nowMs(), status });
        await this.clock.sleep(tookMs / 2);
        const end: CallEnd = { ending: 'answered', status, headers };
        return { value: status, end };
      });
    } catch (error) {
      this.refusals.push(error);
      return null;
    }
  }

  /** Calls one after the other until the time has come or the process dies. */
  async keepCalling(
    process: Process,
    untilMs: number,
    calling: Calling & { readonly everyMs?: number } = {},
  ): Promise<void> {
    while (this.clock.nowMs() < untilMs && !process.dead) {
      await this.call(process, calling);
      await this.clock.sleep(calling.everyMs ?? 1);
    }
  }

  kill(process: Process): void {
    process.dead = true;
    process.log.kill();
    process.frozen?.thaw();
  }

  freeze(process: Process): void {
    if (process.frozen !== null || process.dead) return;
    const { promise: thawed, resolve: thaw } = Promise.withResolvers<void>();
    process.frozen = { thawed, thaw };
    process.log.freeze();
  }

  thaw(process: Process): void {
    process.frozen?.thaw();
    process.frozen = null;
    if (!process.dead) process.log.thaw();
  }

  /** That borrowers have written so far. */
  async messages(): Promise<number> {
    const ends = [0, 1, 2, 3].map((partition) => this.log.admin.watermarks({ topic: NAMES.budgetAsks, partition }));
    return (await this.clock.run(Promise.all(ends))).reduce((sum, { high }) => sum + high, 0);
  }

  counted(): readonly number[] {
    return this.sent.filter(({ status }) => status === 200).map(({ atMs }) => atMs);
  }
}

interface Calling {
  readonly lane?: Lane;
  readonly kind?: CallKind;
  readonly waitMs?: number;
  readonly tookMs?: number;
}
