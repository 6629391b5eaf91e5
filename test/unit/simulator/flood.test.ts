import { Writable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { type FloodOptions, type FloodTarget, floodSettings } from '../../../src/simulator/flood/options.ts';
import { formatFloodProgress, formatFloodReport } from '../../../src/simulator/flood/report.ts';
import { retryDelayMs } from '../../../src/simulator/flood/retry.ts';
import { runFlood } from '../../../src/simulator/flood/run-flood.ts';
import { type Json, type Receiver, signatureOf, startReceiver } from './receiver.ts';

const running: Receiver[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((receiver) => receiver.close()));
});

async function receiver(): Promise<Receiver> {
  const started = await startReceiver();
  running.push(started);
  return started;
}

function targets(url: string): readonly FloodTarget[] {
  return ['a', 'b'].map((name, at) => ({
    tenantId: `t_${name}`,
    connectionId: `cn_${name}`,
    orgId: `57bb0000000000000000000${at}`,
    token: `token-${name}`,
    url: `${url}/webhooks/kustomer/cn_${name}`,
  }));
}

class Lines extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  get all(): Record<string, Json>[] {
    return this.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  get sends(): Record<string, Json>[] {
    return this.all.filter((line) => line['kind'] === 'send');
  }
}

const OPTIONS: FloodOptions = { seed: 3, count: 300, duplicates: 0.2, reorder: 0.2, connections: 8 };

describe('a flood', () => {
  it('delivers every change, signed, and accounts for each send in the manifest (F3, F5)', async () => {
    const there = await receiver();
    const manifest = new Lines();
    const report = await runFlood(OPTIONS, targets(there.url), { manifest });
    expect(report).toMatchObject({
      outcome: 'complete',
      planned: 360,
      sent: 360,
      accepted: 360,
      notAccepted: 0,
      notSent: 0,
      duplicatesSent: 60,
      distinctAccepted: 300,
      attempts: 360,
      retries: 0,
      byStatus: { 200: 360 },
    });
    expect(there.received).toHaveLength(360);
    for (const { path, headers, body } of there.received) {
      const token = path.endsWith('cn_a') ? 'token-a' : 'token-b';
      expect(headers['x-kustomer-webhook-signature']).toBe(signatureOf(token, body));
      expect(headers['x-kustomer-webhook-event']).toBe(JSON.parse(body).name);
    }
    const [header] = manifest.all;
    expect(header).toMatchObject({ kind: 'header', version: 1, seed: '3' });
    expect(header?.['targets']).toEqual([
      { tenantId: 't_a', connectionId: 'cn_a' },
      { tenantId: 't_b', connectionId: 'cn_b' },
    ]);
    expect(manifest.all.at(-1)).toMatchObject({
      kind: 'footer',
      accepted: 360,
      expectedEnvelopes: report.expectedEnvelopes,
    });
    expect(manifest.sends.map((line) => line['seq']).sort((a, b) => a - b)).toEqual([...Array(360).keys()]);
    const arrived = new Map(
      there.received
        .map(({ body }) => [JSON.parse(body), body])
        .map(([it]) => [`${it.dataId}@${it.data.attributes.rev}`, it]),
    );
    for (const line of manifest.sends) {
      const body = arrived.get(`${line['resource_id']}@${line['rev']}`);
      expect(line).toMatchObject({ resource_type: body.data.type, event_name: body.name, status: 200, attempts: 1 });
      expect(line['answeredAtMs']).toBeGreaterThanOrEqual(line['sentAtMs']);
      expect(line['sentAtMs']).toBeGreaterThanOrEqual(line['scheduledAtMs']);
    }
    expect(manifest.text).not.toContain('token-');
    expect(JSON.stringify(report)).not.toContain('token-');
  });

  it('sends the same bodies for the same seed', async () => {
    const [one, two] = [await receiver(), await receiver()];
    await runFlood(OPTIONS, targets(one.url));
    await runFlood({ ...OPTIONS, rate: 3000, connections: 3 }, targets(two.url));
    const sorted = (there: Receiver): string[] => there.received.map((request) => request.body).sort();
    expect(sorted(two)).toEqual(sorted(one));
  });

  it('tries 503, 429 and lost connections again until each change is in', async () => {
    const there = await receiver();
    const failed = new Set<string>();
    there.answer = ({ body }, index) => {
      if (failed.has(body) || index % 3 !== 0) return { status: 202 };
      failed.add(body);
      const kinds = [{ status: 503, headers: { 'retry-after': '0' } }, { status: 429 }, { status: 0, hangUp: true }];
      return kinds[failed.size % 3] as { status: number };
    };
    const manifest = new Lines();
    const report = await runFlood(OPTIONS, targets(there.url), { manifest });
    expect(report).toMatchObject({ outcome: 'complete', accepted: 360, notAccepted: 0, distinctAccepted: 300 });
    expect(report.retries).toBe(failed.size);
    expect(report.byStatus['503']).toBeGreaterThan(0);
    expect(report.byStatus['0']).toBeGreaterThan(0);
    const attempts = manifest.sends.reduce((sum, line) => sum + line['attempts'], 0);
    expect(attempts).toBe(360 + report.retries);
    expect(formatFloodReport(report)).toContain('retries');
  });

  it('reports what was not accepted, without trying a refusal again', async () => {
    const there = await receiver();
    there.answer = ({ path }) => ({ status: path.endsWith('cn_a') ? 401 : 200 });
    const manifest = new Lines();
    const report = await runFlood({ ...OPTIONS, duplicates: 0 }, targets(there.url), { manifest });
    const refused = manifest.sends.filter((line) => line['status'] === 401);
    expect(refused.length).toBeGreaterThan(50);
    expect(report).toMatchObject({ notAccepted: refused.length, accepted: 300 - refused.length, retries: 0 });
    expect(report.distinctAccepted).toBe(report.accepted);
    expect(new Set(refused.map((line) => line['tenant']))).toEqual(new Set(['t_a']));
    expect(formatFloodReport(report)).toContain('NOT ACCEPTED');
  });

  it('gives up on a receiver that stays away, after a bounded number of attempts', async () => {
    const gone = await startReceiver();
    await gone.close();
    const manifest = new Lines();
    const options = { ...OPTIONS, count: 20, duplicates: 0, maxAttempts: 3 };
    const report = await runFlood(options, targets(gone.url), { manifest });
    expect(report).toMatchObject({
      outcome: 'complete',
      accepted: 0,
      notAccepted: 20,
      attempts: 60,
      distinctAccepted: 0,
    });
    expect(report.errors).toEqual({ ECONNREFUSED: 60 });
    for (const line of manifest.sends) expect(line).toMatchObject({ status: 0, answeredAtMs: null, attempts: 3 });
  });

  it('keeps its schedule while answers stall, and counts latency and lateness from it (F1, F2, F4)', async () => {
    const there = await receiver();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let highest = 0;
    let open = 0;
    there.answer = () => {
      open += 1;
      highest = Math.max(highest, open);
      // The first to come hold both connections until the flood is well behind.
      if (there.received.length === 2) setTimeout(release, 300);
      return {
        status: 200,
        after: released.then(() => {
          open -= 1;
        }),
      };
    };
    const manifest = new Lines();
    const options = { ...OPTIONS, count: 100, duplicates: 0, rate: 400, connections: 2 };
    const report = await runFlood(options, targets(there.url), { manifest });
    expect(report.accepted).toBe(100);
    expect(highest).toBeLessThanOrEqual(2);
    const bySchedule = manifest.sends.sort((a, b) => a['seq'] - b['seq']);
    const startMs = bySchedule[0]?.['scheduledAtMs'];
    bySchedule.forEach((line, at) => {
      expect(line['scheduledAtMs'] - startMs).toBeCloseTo((at / 400) * 1000, 1);
    });
    // Scheduled while both connections were held: written late, and their wait counted.
    expect(report.late.count).toBeGreaterThan(80);
    expect(report.late.maxMs).toBeGreaterThan(200);
    expect(report.latencyMs.max).toBeGreaterThan(250);
    expect(report.latencyMs.p50).toBeGreaterThan(100);
    const lateLines = manifest.sends.filter((line) => line['sentAtMs'] - line['scheduledAtMs'] > 10);
    expect(lateLines).toHaveLength(report.late.count);
  });

  it('ends at its deadline, and on abort, with everything begun accounted for', async () => {
    const there = await receiver();
    const never = new Promise<void>(() => {});
    there.answer = (_request, index) => (index < 10 ? { status: 200 } : { status: 200, after: never });
    const manifest = new Lines();
    const report = await runFlood({ ...OPTIONS, deadlineMs: 400 }, targets(there.url), { manifest });
    expect(report).toMatchObject({ outcome: 'deadline', accepted: 10, notAccepted: 8, sent: 18, notSent: 342 });
    expect(manifest.sends).toHaveLength(18);
    expect(manifest.all.at(-1)).toMatchObject({ kind: 'footer', outcome: 'deadline' });

    const controller = new AbortController();
    there.answer = () => {
      controller.abort();
      return { status: 200, after: never };
    };
    const aborted = await runFlood(OPTIONS, targets(there.url), { signal: controller.signal });
    expect(aborted).toMatchObject({ outcome: 'aborted', accepted: 0 });
    expect(aborted.sent + aborted.notSent).toBe(360);
  });

  it('rejects when its manifest cannot be written', async () => {
    const there = await receiver();
    const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) });
    await expect(runFlood(OPTIONS, targets(there.url), { manifest: full })).rejects.toThrow('disk full');
  });

  it('shows progress that ends at the planned number', async () => {
    const there = await receiver();
    const seen: string[] = [];
    let last = 0;
    await runFlood(OPTIONS, targets(there.url), {
      progress: (progress) => {
        seen.push(formatFloodProgress(progress));
        last = progress.sent;
      },
    });
    expect(last).toBe(360);
    expect(seen.at(-1)).toContain('360/360 sent, 360 accepted');
  });

  it('refuses options out of range, naming them', () => {
    const to = targets('http://127.0.0.1:1');
    const wrong: [Partial<FloodOptions>, string][] = [
      [{ count: 0 }, 'count'],
      [{ duplicates: 1.5 }, 'duplicates'],
      [{ reorder: -1 }, 'reorder'],
      [{ rate: Number.NaN }, 'rate'],
      [{ connections: 0 }, 'connections'],
    ];
    for (const [options, name] of wrong) expect(() => floodSettings({ ...OPTIONS, ...options }, to)).toThrow(name);
    expect(() => floodSettings(OPTIONS, [])).toThrow('target');
  });
});

describe('retryDelayMs', () => {
  const rules = { maxAttempts: 5, baseMs: 50, maxMs: 2000 };
  const delay = (status: number, attempts: number, retryAfter: string | null = null, jitter = 0): number | null =>
    retryDelayMs({ status, attempts, retryAfter }, rules, Date.parse('2026-01-01T00:00:00Z'), jitter);

  it('backs off, honours Retry-After up to a cap, and ends', () => {
    expect([1, 2, 3, 4].map((attempts) => delay(503, attempts))).toEqual([50, 100, 200, 400]);
    expect(delay(503, 5)).toBeNull();
    expect(delay(503, 1, '1')).toBe(1000);
    expect(delay(503, 1, '60')).toBe(2000);
    expect(delay(503, 1, 'Thu, 01 Jan 2026 00:00:01 GMT')).toBe(1000);
    expect(delay(503, 1, 'soon')).toBe(50);
    expect(delay(503, 1, null, 0.5)).toBe(62.5);
    expect(delay(0, 1)).toBe(50);
  });

  it('does not try again what would be refused again', () => {
    for (const status of [200, 202, 400, 401, 404, 413, 415]) expect(delay(status, 1)).toBeNull();
  });
});
