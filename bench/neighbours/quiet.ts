/**
 * The quiet tenant: sends its changes at a low rate from this process, and watches for each envelope with a client that is
 * not ours. Latency is from when the webhook was to be sent, so that a receiver that makes it wait or come again is not flattered.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { waitUntil } from '../../scripts/stack/wait.ts';
import { type EnvelopeFollow, type FollowedEnvelope, followEnvelopes } from '../../src/app/verify/follow.ts';
import { realClock } from '../../src/base/clock.ts';
import type { FloodTarget } from '../../src/simulator/flood/options.ts';
import type { FloodReport } from '../../src/simulator/flood/report.ts';
import { runFlood } from '../../src/simulator/flood/run-flood.ts';
import type { BenchContext } from '../lib/bench.ts';

/** The last envelope must be here so long after the last webhook. */
const SEEN_MS = 90_000;

export interface Waited {
  /** Since the first was to be sent. */
  readonly sentAfterMs: number;
  readonly latencyMs: number;
}

export interface QuietRun {
  readonly sent: FloodReport;
  /** One per envelope, in the order of sending. */
  readonly waited: readonly Waited[];
}

export interface QuietTenant {
  /** Throws unless every change of it was accepted and gave each of its envelopes once. */
  run(options: { readonly rate: number; readonly count: number; readonly manifest: string }): Promise<QuietRun>;
  close(): Promise<void>;
}

export async function quietTenant(context: BenchContext, target: FloodTarget, topic: string): Promise<QuietTenant> {
  const follow = await followEnvelopes({
    topics: [topic],
    registry: { url: context.registryUrl },
    access: { brokers: context.brokers, ssl: false },
    reader: 'auto',
    clock: realClock,
  });
  return {
    async run({ rate, count, manifest }) {
      const before = follow.of(topic).length;
      const options = { count, rate, seed: manifest, connections: 4 };
      const sent = await runFlood(options, [target], { manifest: createWriteStream(manifest) });
      if (sent.notAccepted > 0) throw new Error(`quiet tenant: ${sent.notAccepted} webhooks were not accepted`);
      const expected = await expectedOf(manifest);
      const seen = (): readonly FollowedEnvelope[] => follow.of(topic).slice(before);
      await waitUntil(async () => seen().length >= expected.size, {
        what: 'the envelopes of the quiet tenant',
        deadlineMs: SEEN_MS,
        hopeless: () => failureOf(follow),
      });
      return { sent, waited: match(expected, seen()) };
    },
    close: () => follow.stop(),
  };
}

function failureOf(follow: EnvelopeFollow): string | null {
  const failure = follow.failure();
  return failure === null ? null : String(failure);
}

interface ManifestSend {
  readonly kind: string;
  readonly resource_type: string;
  readonly resource_id: string;
  readonly rev: number;
  readonly scheduledAtMs: number;
  readonly expect: readonly { readonly event_type: string }[];
}

/** When the change of each envelope was to be sent, by the envelope's name. */
async function expectedOf(manifest: string): Promise<ReadonlyMap<string, number>> {
  const expected = new Map<string, number>();
  for await (const text of createInterface({ input: createReadStream(manifest) })) {
    const line = JSON.parse(text) as ManifestSend;
    if (line.kind !== 'send') continue;
    for (const { event_type } of line.expect)
      expected.set(nameOf(event_type, line.resource_type, line.resource_id, line.rev), line.scheduledAtMs);
  }
  return expected;
}

function match(expected: ReadonlyMap<string, number>, seen: readonly FollowedEnvelope[]): readonly Waited[] {
  const startMs = Math.min(...expected.values());
  const names = new Set<string>();
  const waited = seen.map(({ eventType, payload, arrivalMs }) => {
    const name = nameOf(eventType, payload['resource_type'], payload['resource_id'], payload['revision']);
    const sentAtMs = expected.get(name);
    if (sentAtMs === undefined) throw new Error(`quiet tenant: an envelope nobody expected: ${name}`);
    if (names.has(name)) throw new Error(`quiet tenant: an envelope came twice: ${name}`);
    names.add(name);
    return { sentAfterMs: sentAtMs - startMs, latencyMs: arrivalMs - sentAtMs };
  });
  return waited.sort((a, b) => a.sentAfterMs - b.sentAfterMs);
}

function nameOf(eventType: string, type: unknown, id: unknown, rev: unknown): string {
  return `${eventType} of ${String(type)} ${String(id)} at ${String(rev)}`;
}
