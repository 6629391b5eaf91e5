/** One run: sinks as processes on a real broker, a Kustomer in this one, and what goes wrong with either of them. */
import { onTestFinished } from 'vitest';
import type { Append } from '../../../src/kafka/port.ts';
import { createRandom } from '../../../src/simulator/model/random.ts';
import type { Org } from '../../../src/simulator/org.ts';
import { requestFaultsSchema } from '../../../src/simulator/requests/faults.ts';
import type { AppliedWrite } from '../../../src/simulator/requests/write-log.ts';
import { createSimulator } from '../../../src/simulator/server.ts';
import type { TestProcess } from '../process.ts';
import { type SinkHouse, UNHURRIED_CALLS } from '../sinks/house.ts';
import { kill, letGo } from '../sinks/member.ts';
import { waitFor } from '../wait-for.ts';
import { isUnknown, judge, type Told, type Violation } from './judge.ts';
import { faults, type Happening, planMayhem } from './mayhem.ts';
import { callToken, noteToken, type Planned, planCommands, statusToken, usersToken } from './plan.ts';
import { type ChaosSite, openSite } from './site.ts';

export interface ChaosOptions {
  readonly seed: string;
  readonly conversations: number;
  /** Commands of each. */
  readonly each: number;
  /** At most as many as `each`: between two of them every conversation has a command more. */
  readonly happenings: number;
  readonly deadlineMs: number;
  readonly tell?: (line: string) => void;
}

export interface ChaosResult {
  readonly violations: readonly Violation[];
  readonly commands: number;
  readonly copies: number;
  readonly tookMs: number;
  /** Calls that were answered so that nobody could know whether they took effect. */
  readonly ambiguous: number;
  /** Commands that a person has to look at, and why. */
  readonly parked: readonly string[];
  /** Found by reading back. */
  readonly reconciled: number;
  readonly refused429: number;
  readonly happened: Readonly<Record<Happening['kind'], number>>;
}

const KEY = 'key-chaos';
const MEMBERS = 3;
const PRODUCERS = 4;
/** Until every request without an answer has been given up. */
const QUIET_MS = UNHURRIED_CALLS.totalMs + 200;
const AGENT_EVERY_MS = 150;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, conversations, deadlineMs } = options;
  const simulator = createSimulator({
    orgs: [
      {
        name: 'acme',
        apiKey: KEY,
        conversations,
        limits: { orgPerMinute: 1_000_000, createsPerCustomerMinute: 1_000_000 },
        service: { minMs: 1, maxMs: 10 },
      },
    ],
    seed,
  });
  const { url } = await simulator.listen();
  onTestFinished(() => simulator.close());
  const org = simulator.orgs[0] as Org;
  const site = await openSite(org, url);
  const { house } = site;
  const planned = planCommands(seed, stageOf(org, options.each));
  const chaos = new Chaos(org, site);
  await chaos.begin();
  const startedAtMs = performance.now();
  const agents = agentsAtWork(org, seed);
  const mayhem = planMayhem(seed, options.happenings);
  const total = planned.flat().length;
  let sent = 0;
  for (const [index, { at, which, happening }] of mayhem.entries()) {
    const part = partOf(planned, index, mayhem.length);
    const since = sent;
    sent += part.flat(2).length;
    const until = Math.ceil(since + at * (sent - since));
    const sending = Promise.all(part.map((batches) => produce(house, batches)));
    const isTime = () => house.receipts.length >= until;
    await waitFor(isTime, { message: `receipt ${until} of ${total}`, deadlineMs, everyMs: 2 });
    const beganMs = performance.now() - startedAtMs;
    const [found] = await Promise.all([house.receipts.length, chaos.happen(happening, which), sending]);
    options.tell?.(`${Math.round(beganMs)} ms, ${found} of ${sent} receipts: ${JSON.stringify(happening)}`);
  }
  const isDone = () => house.receipts.length >= total;
  const waiting = { message: 'a receipt for each', deadlineMs, everyMs: 20 };
  await waitFor(isDone, waiting).catch(() => undefined); // the judge tells more
  const tookMs = performance.now() - startedAtMs;
  clearInterval(agents);
  // Whatever comes once more comes now: the group is let go by all of them.
  await chaos.end();
  return { ...verdictOf(org, house, planned), ...chaos.counts, tookMs };
}

function stageOf({ organisation }: Org, each: number) {
  const places = [...organisation.conversations.values()].map(({ id, attributes, relationships }) => ({
    conversationId: id,
    customerId: relationships['customer']?.data?.id as string,
    status: String(attributes['status']),
    users: (attributes['assignedUsers'] ?? []) as readonly string[],
  }));
  const agents = [...organisation.users.values()].filter(({ attributes }) => attributes['userType'] === 'user');
  return { places, agents: agents.map(({ id }) => id), each };
}

/** One of so many parts of the commands: of each producer its conversations, and of those one command after another. */
function partOf(
  planned: readonly (readonly Planned[])[],
  part: number,
  parts: number,
): readonly (readonly (readonly Planned[])[])[] {
  const most = Math.max(...planned.map(({ length }) => length));
  const [from, to] = [Math.floor((part * most) / parts), Math.floor(((part + 1) * most) / parts)];
  return Array.from({ length: PRODUCERS }, (_, producer) => {
    const mine = planned.filter((_, index) => index % PRODUCERS === producer);
    return Array.from({ length: to - from }, (_, at) => mine.flatMap((commands) => commands[from + at] ?? []));
  });
}

async function produce(house: SinkHouse, batches: readonly (readonly Planned[])[]): Promise<void> {
  for (const batch of batches) await house.send(...batch.map((planned) => appendOf(house, planned)));
}

function appendOf(house: SinkHouse, { commandId, capability, args, idempotencyKey }: Planned): Append {
  return house.command({ commandId, capability, args, idempotencyKey });
}

/** People change other things of conversations: revisions move on under the commands. */
function agentsAtWork(org: Org, seed: string): NodeJS.Timeout {
  const random = createRandom(`agents:${seed}`);
  const ids = [...org.organisation.conversations.values()].map(({ id }) => id);
  const timer = setInterval(() => {
    const [id, priority] = [random.pick(ids), 1 + random.int(5)];
    org.perform(Date.now(), (organisation) => organisation.editConversation(Date.now(), id, { priority }));
  }, AGENT_EVERY_MS);
  onTestFinished(() => clearInterval(timer));
  return timer;
}

class Chaos {
  readonly #org: Org;
  readonly #site: ChaosSite;
  readonly #happened = { kill: 0, freeze: 0, shift: 0, storm: 0 };
  #members: TestProcess[] = [];
  #ambiguous = 0;
  #refused429 = 0;

  constructor(org: Org, site: ChaosSite) {
    this.#org = org;
    this.#site = site;
  }

  get counts() {
    this.#count();
    return { ambiguous: this.#ambiguous, refused429: this.#refused429, happened: this.#happened };
  }

  async begin(): Promise<void> {
    this.#set(faults('usual'));
    this.#members = await Promise.all(Array.from({ length: MEMBERS }, () => this.#site.startSink()));
    await Promise.all(this.#members.map((member) => this.#site.owns(member)));
  }

  /** All of them are let go, and none has ended by itself. */
  async end(): Promise<void> {
    await Promise.all(this.#members.map(letGo));
  }

  async happen(happening: Happening, which: number): Promise<void> {
    this.#happened[happening.kind] += 1;
    const index = Math.floor(which * this.#members.length);
    const member = this.#members[index] as TestProcess;
    switch (happening.kind) {
      case 'kill':
        await kill(member);
        this.#members[index] = await this.#site.startSink();
        break;
      case 'freeze':
        this.#set(faults('frozen'));
        await passed(QUIET_MS);
        member.signal('SIGSTOP');
        await passed(happening.forMs);
        member.signal('SIGCONT');
        this.#set(faults('usual'));
        break;
      case 'shift':
        this.#members.push(await this.#site.startSink());
        await letGo(member);
        this.#members.splice(index, 1);
        break;
      case 'storm': {
        const { refusals: count, retryAfterS } = happening;
        this.#set([{ kind: 'status', status: 429, retryAfterS, count }, ...faults('usual')]);
        break;
      }
    }
  }

  #set(rules: Parameters<typeof requestFaultsSchema.parse>[0]): void {
    this.#count();
    this.#org.requestFaults.configure(requestFaultsSchema.parse(rules));
  }

  /** Of the rules until now: a new script begins at nothing. */
  #count(): void {
    for (const { status, method, kind, acted } of this.#org.requestFaults.rules) {
      if (kind === 'status' && status === 429) this.#refused429 += acted;
      else if (method !== 'GET') this.#ambiguous += acted;
    }
    this.#org.requestFaults.configure([]);
  }
}

/** How long a happening lasts is part of what it is. */
async function passed(ms: number): Promise<void> {
  const untilMs = performance.now() + ms;
  await waitFor(() => performance.now() >= untilMs, { message: `${ms} ms`, deadlineMs: ms + 10_000, everyMs: 20 });
}

function verdictOf(org: Org, house: SinkHouse, planned: readonly (readonly Planned[])[]) {
  const commands = planned.flat().map((command) => {
    return { ...command, lane: String(appendOf(house, command).key) };
  });
  const lanes = new Map(commands.flatMap(({ lane, token }) => (callOf(token) === null ? [] : [[callOf(token), lane]])));
  const receipts = house.receipts.map(
    ({ command_id, receipt_id, outcome, error, unchanged }): Told => ({
      commandId: command_id,
      receiptId: receipt_id,
      outcome,
      code: error?.code ?? null,
      unchanged: unchanged ?? false,
    }),
  );
  const writes = org.writes.list().map((write) => {
    const token = tokenOf(write);
    return { token, lane: lanes.get(callOf(token)) ?? write.conversationId };
  });
  const overlaps = org.writes.overlaps.map(({ lane }) => lane);
  return {
    violations: judge({ commands, receipts, writes, overlaps }),
    commands: commands.length,
    copies: commands.filter(({ token }) => token === null).length,
    parked: house.receipts
      .filter(({ error }) => isUnknown({ code: error?.code ?? null }))
      .map(({ capability, error, attempts }) => `${capability}, call ${attempts}: ${error?.message}`),
    reconciled: house.receipts.filter(({ reconciled }) => reconciled).length,
  };
}

/** Calls may have lanes of their own. */
function callOf(token: string | null): string | null {
  return token?.startsWith('call ') ? (token.split(' ')[1] as string) : null;
}

interface WriteBody {
  readonly body?: unknown;
  readonly status?: unknown;
  readonly snooze?: { readonly time?: unknown };
  readonly assignedUsers?: readonly unknown[];
  readonly meta?: { readonly status?: unknown };
}

/** What a write says of itself, as the plan does. */
function tokenOf({ operation, body, externalId }: AppliedWrite): string {
  const said = Object(body) as WriteBody;
  if (operation.endsWith('/notes')) return noteToken(said.body);
  if (operation.includes('/messages')) return callToken(externalId, said.meta?.status);
  if (said.assignedUsers !== undefined) return usersToken(said.assignedUsers);
  return statusToken(said.status, said.snooze?.time ?? null);
}
