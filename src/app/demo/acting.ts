/**
 * The demo's third act: somebody connects Kustomer with `fibric` and has notes written to it. Commands are repeated, one
 * answer is lost, one is forbidden, one is one too many; what the simulated Kustomer knows of the writes it applied is held
 * against the receipts.
 *
 *   tenant, token, login → connector → grant, policies → dry run → note, again, 20 times at once → a lost answer → BLOCK → limit
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../base/errors.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import { type RequestFaultOptions, requestFaultsSchema } from '../../simulator/requests/faults.ts';
import type { AppliedWrite } from '../../simulator/requests/write-log.ts';
import { createSimulator, type Simulator } from '../../simulator/server.ts';
import { Shell } from './shell.ts';
import type { Actors, Stage } from './stage.ts';

export const ACTING_TENANT = 't_acting';
const OPERATOR = 'triage-analyst';
const RETRIES = 20;
/** Exit code of `fibric` where policy refuses. */
const BLOCK = 6;

/** As the connect guide prints it. */
const POLICY = `# governs writes back into Kustomer. default is deny.
policy: support-writes
rules:
- allow: conversation.note.write
  limit:
    per: hour
    max: 100
  single_flight: conversation_id # one write in flight per conversation
- allow: conversation.status.write
  limit:
    per: hour
    max: 25
default: deny
`;

const CAREFUL = `policy: three-notes
applies_to: ${OPERATOR}
rules:
- allow: conversation.note.write
  limit: { per: hour, max: 3 }
default: deny
`;

const ROLES = [
  ...['conversation.read', 'conversation.update', 'message.read', 'customer.read', 'note.create', 'note.read'],
  ...['search.create', 'outbound_webhook.read', 'outbound_webhook.create', 'outbound_webhook.delete'],
].map((role) => `org.permission.${role}`);

/** It takes effect, and nobody hears of it. */
const LOST_ANSWER: RequestFaultOptions = {
  method: 'POST',
  path: '/v1/conversations/*/notes',
  kind: 'reset',
  when: 'after',
  count: 1,
};

export interface ActingResult {
  readonly ok: boolean;
  readonly applied: number;
  readonly deduplicated: number;
  readonly blocked: number;
  /** What the receipts and Kustomer's truth disagree about, and what went otherwise than it should. */
  readonly problems: readonly string[];
}

export interface ActingStage {
  readonly simulator: Simulator;
  readonly actors: Actors;
  readonly apiKey: string;
  readonly adminToken: string;
}

/** A Kustomer, and the roles that write to it. Begun ahead: they take a while to start. */
export async function openActing(stage: Pick<Stage, 'startActors' | 'url'>): Promise<ActingStage> {
  const apiKey = `key-${randomBytes(16).toString('hex')}`;
  const adminToken = `admin-${randomBytes(16).toString('hex')}`;
  const org = { name: 'acme', apiKey, conversations: 3, access: { roles: ROLES } };
  const simulator = createSimulator({ orgs: [org], seed: 'demo' });
  try {
    const { url: kustomerBaseUrl } = await simulator.listen();
    const actors = await stage.startActors({ kustomerBaseUrl, publicUrl: stage.url, adminToken });
    return { simulator, actors, apiKey, adminToken };
  } catch (error) {
    await simulator.close();
    throw error;
  }
}

export interface ActingIo {
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export async function runActing(stage: ActingStage, io: ActingIo): Promise<ActingResult> {
  const folder = await mkdtemp(join(tmpdir(), 'cn-kustomer-demo-'));
  try {
    await writeFile(join(folder, 'policy.yaml'), POLICY);
    await writeFile(join(folder, 'three-notes.yaml'), CAREFUL);
    return await new Act(stage, folder, io).play();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

class Act {
  readonly #stage: ActingStage;
  readonly #shell: Shell;
  readonly #say: ActingIo['say'];
  readonly #signal: AbortSignal;
  readonly #problems: string[] = [];
  #token = '';

  constructor(stage: ActingStage, folder: string, { say, signal }: ActingIo) {
    this.#stage = stage;
    this.#shell = new Shell({ folder, endpoint: stage.actors.url, say, signal });
    this.#say = say;
    this.#signal = signal;
  }

  async play(): Promise<ActingResult> {
    const say = this.#say;
    const { apiKey, simulator } = this.#stage;
    const [org] = simulator.orgs;
    const [conversation] = org?.organisation.conversations.values() ?? [];
    if (org === undefined || conversation === undefined) throw new CodedError('demo_failed', 'Kustomer is empty');
    await this.#logIn();
    await this.#type(
      [
        'connectors',
        'add',
        'cn-kustomer',
        '--as',
        'support',
        '--connection',
        'kustomer-prod',
        '--config',
        '{"subdomain":"acme"}',
      ],
      0,
      apiKey,
    );
    const about = { conversation_id: conversation.id };
    const note = (body: string) => ['--args', JSON.stringify({ ...about, body })];
    const test = ['connectors', 'test', 'cn-kustomer', 'note.write', '--connection', 'kustomer-prod'];
    await this.#type(['capabilities', 'grant', 'conversation.note.write', '--operator', OPERATOR]);
    await this.#type(['policy', 'apply', './policy.yaml']);
    await this.#type(['policy', 'apply', './three-notes.yaml']);
    await this.#type([...test, ...note('connectivity check')]);
    const send = (key: string, code = 0) => this.#send('conversation.note.write', key, note(`note ${key}`), code);
    await send('order-10002-late');
    say('  the same again, as a client does that has not heard the answer:');
    await send('order-10002-late');
    await this.#retryLoop(about.conversation_id);
    say('  Kustomer writes the next one, and its answer is lost on the way:');
    org.requestFaults.configure(requestFaultsSchema.parse([LOST_ANSWER]));
    await send('parcel-found');
    await this.#send(
      'conversation.assignment.write',
      'take-over',
      ['--args', JSON.stringify({ ...about, teams: [], mode: 'set' })],
      BLOCK,
    );
    await send('parcel-on-its-way');
    await send('one-too-many', BLOCK);
    await this.#type(['receipts', 'ls', '--operator', OPERATOR, '--limit', '6']);
    // The webhook was made by `connectors add`: no command, so no receipt.
    const truth = org.writes.list().filter(({ operation }) => !operation.includes('/outbound-webhooks'));
    return this.#account(await this.#receipts(), truth);
  }

  async #logIn(): Promise<void> {
    const { adminToken: token } = this.#stage;
    this.#say('the operator’s side: the admin token makes a tenant and its first token, and fibric logs in with it');
    await this.#type(['tenants', 'create', 'Acme', '--id', ACTING_TENANT], 0, '', { token });
    const create = ['tokens', 'create', 'demo', '--tenant', ACTING_TENANT, '--scopes', 'admin'];
    const made = await this.#type(create, 0, '', { token, instead: ' > token.txt' });
    this.#token = made.trim();
    await this.#type(['auth', 'login'], 0, this.#token);
  }

  async #type(
    args: readonly string[],
    code = 0,
    input = '',
    more: { readonly token?: string; readonly instead?: string } = {},
  ): Promise<string> {
    const typed = await this.#shell.fibric(args, { input, ...more });
    if (typed.code !== code)
      this.#problems.push(`fibric ${args.slice(0, 2).join(' ')} ended with ${typed.code}, not ${code}`);
    return typed.stdout;
  }

  async #send(capability: string, key: string, args: readonly string[], code: number): Promise<void> {
    const command = ['actions', 'send', capability, '--live', '--operator', OPERATOR, '--key', key, ...args];
    await this.#type([...command, '--wait', '60s'], code);
  }

  /** The loop that wrote one message 657 times, in small: nobody types this. */
  async #retryLoop(conversationId: string): Promise<void> {
    const body = JSON.stringify({
      connection: 'kustomer-prod',
      capability: 'conversation.note.write',
      args: { conversation_id: conversationId, body: 'note order-10002-late' },
      ...{ idempotency_key: 'order-10002-late', operator: OPERATOR, mode: 'live', wait_ms: 60_000 },
    });
    const answers = await Promise.all(
      Array.from({ length: RETRIES }, async () => {
        const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
        const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(90_000)]);
        const answer = await fetch(`${this.#stage.actors.url}/v1/actions`, { method: 'POST', headers, body, signal });
        const said = (await answer.json()) as { receipt?: { outcome?: string } | null };
        return said.receipt?.outcome ?? 'no receipt';
      }),
    );
    const caught = answers.filter((outcome) => outcome === 'deduplicated').length;
    if (caught !== RETRIES) this.#problems.push(`of ${RETRIES} repetitions ${caught} were recognised`);
    this.#say(`  …and ${RETRIES} times more at once, in a loop that has gone wild: ${caught} DEDUP`);
  }

  async #receipts(): Promise<readonly WireReceipt[]> {
    const { stdout, code } = await this.#shell.fibric(
      ['receipts', 'ls', '--since', '1h', '--limit', '1000', '--json'],
      { shown: false },
    );
    if (code !== 0) throw new CodedError('demo_failed', 'the receipts cannot be listed');
    return (JSON.parse(stdout) as { data: readonly WireReceipt[] }).data;
  }

  #account(receipts: readonly WireReceipt[], truth: readonly AppliedWrite[]): ActingResult {
    const problems = [...this.#problems, ...disagreements(receipts, truth)];
    const count = (fits: (receipt: WireReceipt) => boolean): number => receipts.filter(fits).length;
    const applied = count(({ outcome }) => outcome === 'applied');
    const deduplicated = count(({ verdict }) => verdict.decision === 'DEDUP');
    const blocked = count(({ verdict }) => verdict.decision === 'BLOCK');
    // Three notes, the third of which is the last that is allowed.
    if (applied !== 3 || deduplicated !== RETRIES + 1 || blocked !== 2) {
      problems.push(`${applied} applied, ${deduplicated} deduplicated, ${blocked} blocked`);
    }
    this.#say('');
    this.#say(
      `acting     ${receipts.length} receipts: ${applied} applied, ${deduplicated} DEDUP, ${blocked} BLOCK; ` +
        `${truth.length} writes by the truth of the simulated Kustomer, ${problems.length} disagreements`,
    );
    for (const problem of problems) this.#say(`  ${problem}`);
    return { ok: problems.length === 0, applied, deduplicated, blocked, problems };
  }
}

/** Each key that was applied is one write, and there is no other write. Pure. */
export function disagreements(receipts: readonly WireReceipt[], truth: readonly AppliedWrite[]): readonly string[] {
  const problems: string[] = [];
  const applied = receipts.filter(({ outcome }) => outcome === 'applied');
  const keys = new Set(applied.map(({ idempotency_key }) => idempotency_key));
  if (keys.size !== applied.length) problems.push('a key was applied twice, by its receipts');
  for (const { idempotency_key: key, external_id, vendor } of applied) {
    const written = truth.filter(({ externalId }) => externalId !== null && externalId === external_id);
    if (written.length !== 1) problems.push(`${key}: ${written.length} writes in Kustomer`);
    if (written.length === 1 && written[0]?.objectId !== vendor?.id)
      problems.push(`${key}: the receipt names another note`);
  }
  const known = new Set(applied.map(({ external_id }) => external_id));
  const strange = truth.filter(({ externalId }) => !known.has(externalId));
  if (strange.length > 0) problems.push(`${strange.length} writes in Kustomer without a receipt`);
  return problems;
}
