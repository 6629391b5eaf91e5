/**
 * Where the guide is followed: the simulated Kustomer with one organisation, the service as a process with all its roles,
 * and a person's shell in which `fibric` is installed. Everything the person sees is kept.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { ROOT } from '../../../scripts/stack/versions.ts';
import { DEMO_SLA } from '../../../src/app/demo/happenings.ts';
import { accessSchema } from '../../../src/simulator/access.ts';
import type { ModelEvent } from '../../../src/simulator/model/event.ts';
import type { Organisation } from '../../../src/simulator/model/organisation.ts';
import type { Org } from '../../../src/simulator/org.ts';
import { createSimulator } from '../../../src/simulator/server.ts';
import { freePort } from '../../support/free-port.ts';
import { Installation, readiness, type Serving } from '../../support/installation.ts';
import { waitFor } from '../../support/wait-for.ts';

export interface Typed {
  readonly code: number | null;
  readonly out: string;
  /** Both streams. */
  readonly text: string;
}

export interface Tail {
  text(): string;
  /** Ctrl-C. */
  stop(): Promise<number | null>;
}

const COMMAND_DEADLINE_MS = 60_000;
/** Kustomer tries a failed delivery again after minutes; here after seconds. */
const TIME_SCALE = 60;

export class GuideHouse {
  readonly site: Installation;
  readonly serving: Serving;
  readonly org: Org;
  readonly adminToken: string;
  readonly masterKey: string;
  /** Every key that was ever given to `connectors add`. */
  readonly keys: string[] = [];
  /** The person's own folder. */
  readonly home: string;
  readonly openedAtMs = Date.now();
  /** What stood in the argument lists of processes while commands ran. */
  readonly argumentLists = new Set<string>();
  #seen = '';

  private constructor(parts: Pick<GuideHouse, 'site' | 'serving' | 'org' | 'adminToken' | 'masterKey' | 'home'>) {
    ({
      site: this.site,
      serving: this.serving,
      org: this.org,
      adminToken: this.adminToken,
      masterKey: this.masterKey,
      home: this.home,
    } = parts);
  }

  static async open(): Promise<GuideHouse> {
    const secret = (what: string): string => `${what}-canary-${randomBytes(12).toString('hex')}`;
    const org = { name: 'acme', apiKey: secret('none-yet'), conversations: 3, sla: DEMO_SLA };
    const simulator = createSimulator({ orgs: [org], timeScale: TIME_SCALE });
    onTestFinished(() => simulator.close());
    const { url: kustomer } = await simulator.listen();
    const port = await freePort();
    const adminToken = secret('admin');
    const site = await Installation.open({
      tenants: 0,
      env: {
        CN_ADMIN_TOKEN: adminToken,
        KUSTOMER_BASE_URL: kustomer,
        PUBLIC_URL: `http://127.0.0.1:${port}`,
        PORT: String(port),
      },
    });
    const serving = await site.serve({ roles: 'ingest,process,poll,sink,api' });
    const home = join(site.folder, 'home');
    mkdirSync(home);
    const masterKey = site.env['CN_MASTER_KEY'] as string;
    return new GuideHouse({ site, serving, org: simulator.orgs[0] as Org, adminToken, masterKey, home });
  }

  /** Types it into a shell; `input` is piped in. */
  async type(line: string, { input = '', env = {} }: { input?: string; env?: Readonly<Record<string, string>> } = {}) {
    const child = this.#shell(line, env);
    child.stdin.end(input);
    let out = '';
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
      text += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.once('spawn', () => this.#lookAtArguments());
    const late = setTimeout(() => child.kill('SIGKILL'), COMMAND_DEADLINE_MS);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(late);
    this.#lookAtArguments();
    this.#seen += `$ ${line}\n${text}`;
    return { code, out, text } satisfies Typed;
  }

  /** Types it and holds what it prints against what it must print, and its exit code. */
  async expect(line: string, code: number, wanted: readonly (string | RegExp)[], input = ''): Promise<Typed> {
    const typed = await this.type(line, { input });
    for (const one of wanted) {
      if (typeof one === 'string') expect(typed.text, line).toContain(one);
      else expect(typed.text, line).toMatch(one);
    }
    expect({ line, code: typed.code, text: code === typed.code ? '' : typed.text }).toEqual({ line, code, text: '' });
    return typed;
  }

  async json(line: string): Promise<{ readonly data: readonly Record<string, unknown>[] } & Record<string, unknown>> {
    const { out, text, code } = await this.type(`${line} --json`);
    expect(code, `${line}\n${text}`).toBe(0);
    return JSON.parse(out);
  }

  /** A command that goes on until Ctrl-C. Resolves once the API serves its stream. */
  async tail(line: string): Promise<Tail> {
    const streams = await this.streams();
    const child = this.#shell(`exec ${line}`, {});
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
    }
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const isServed = async () => (await this.streams()) > streams;
    const hopeless = () => (child.exitCode === null ? null : `it ended: ${text}`);
    await waitFor(isServed, { message: `the stream of ${line}`, hopeless });
    return {
      text: () => text,
      stop: async () => {
        child.kill('SIGINT');
        const code = await ended;
        this.#seen += `$ ${line}\n${text}`;
        return code;
      },
    };
  }

  /** Waits, and says in the failure what the service has complained of, how it is, and what there is to be seen. */
  async until(holds: () => boolean, what: string, { deadlineMs = 15_000 } = {}): Promise<void> {
    await waitFor(holds, { message: what, deadlineMs }).catch(async (error: unknown) => {
      const there = await this.type('fibric events ls --since 1h --limit 100');
      const health = JSON.stringify(await readiness(this.serving.url));
      const complaints = this.serving.process
        .output()
        .split('\n')
        .filter((line) => /"level":(?:"(?:warn|error|fatal)"|[4-6]0)/.test(line));
      throw new Error(`${String(error)}\n${complaints.slice(-20).join('\n')}\n${health}\n${there.text}`);
    });
  }

  /** A key that was made in Kustomer just now: it may do this, and all others are revoked. */
  freshKey(roles: readonly string[]): string {
    const key = `kustomer-canary-${randomBytes(16).toString('hex')}`;
    Object.assign(this.org, { apiKey: key, access: accessSchema.parse({ roles }) });
    this.keys.push(key);
    return key;
  }

  perform = (change: (organisation: Organisation, nowMs: number) => readonly ModelEvent[]): readonly ModelEvent[] => {
    const nowMs = Date.now();
    return this.org.perform(nowMs, (organisation) => change(organisation, nowMs));
  };

  /** Writes that Kustomer applied; the webhook, which `connectors add` makes, is none of them. */
  writes(): number {
    return this.org.writes.list().filter(({ operation }) => !operation.includes('/outbound-webhooks')).length;
  }

  /** Notes of the simulated Kustomer with this text. */
  notes(body: string): number {
    return [...this.org.organisation.notes.values()].filter(({ attributes }) => attributes['body'] === body).length;
  }

  /** Everything the person has seen so far. */
  seen(): string {
    return this.#seen;
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.serving.url}/metrics`)).text();
  }

  async streams(): Promise<number> {
    return Number(/^cnk_api_streams (\d+)$/m.exec(await this.metrics())?.[1] ?? 0);
  }

  #shell(line: string, env: Readonly<Record<string, string>>) {
    const child = spawn('/bin/sh', ['-c', line], {
      cwd: this.home,
      env: { PATH: `${join(ROOT, 'bin')}:${process.env['PATH'] ?? ''}`, HOME: this.home, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => undefined); // it may end without reading
    onTestFinished(() => void child.kill('SIGKILL'));
    return child;
  }

  #lookAtArguments(): void {
    if (process.platform !== 'linux') return;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        this.argumentLists.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      } catch {
        // gone meanwhile
      }
    }
  }
}
