import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideHealth, forgetFindings, type WebhookHealth } from '../../../../src/ingest/webhook-health/decide.ts';
import {
  type Asked,
  CONNECTION_STATES,
  HEALTH_DEFAULTS,
  HEALTH_REASONS,
  type HealthReason,
  type Observation,
  type ReasonRow,
  type WebhookFacts,
} from '../../../../src/ingest/webhook-health/model.ts';

const START = Date.UTC(2026, 5, 1);
const MINUTE = 60_000;

const webhook = (facts: Partial<WebhookFacts> = {}): WebhookFacts => ({
  id: 'w1',
  current: true,
  enabled: true,
  isError: false,
  tokenKnown: true,
  missingEvents: [],
  deliveries: { lastSuccessAtMs: null, failuresAtMs: [], lastFailureStatus: null },
  ...facts,
});
const delivered = (atMs: number, failuresAtMs: readonly number[] = []): Partial<WebhookFacts> => ({
  deliveries: { lastSuccessAtMs: atMs, failuresAtMs, lastFailureStatus: failuresAtMs.length > 0 ? '503' : null },
});
const answered = (...webhooks: WebhookFacts[]): Asked => ({ kind: 'answered', webhooks });
const observation = (asked: Asked | null, more: Partial<Observation> = {}): Observation => ({
  tokens: 1,
  asked,
  acceptedHere: null,
  polledAtMs: [],
  pollWorks: true,
  ...more,
});
const GOOD = observation(answered(webhook()));
const DISABLED = observation(answered(webhook({ enabled: false, isError: true })));
const failed = (fault: Extract<Asked, { kind: 'failed' }>['fault']) => observation({ kind: 'failed', fault });

/** Checks a minute apart, from the start; the health after each. */
function run(...observations: readonly Observation[]) {
  const seen: { health: WebhookHealth; enable: readonly string[]; nowMs: number }[] = [];
  let before: WebhookHealth | null = null;
  for (const [index, one] of observations.entries()) {
    const nowMs = START + index * MINUTE;
    const verdict = decideHealth(before, one, nowMs);
    before = verdict.health;
    seen.push({ ...verdict, nowMs });
  }
  return seen;
}
const states = (...observations: readonly Observation[]) =>
  run(...observations).map(({ health }) =>
    health.reason === null ? health.state : `${health.state}:${health.reason}`,
  );

describe('what an observation comes to', () => {
  it.each<[string, Observation]>([
    ['connected', GOOD],
    ['degraded:webhook_disabled', DISABLED],
    ['degraded:webhook_switched_off', observation(answered(webhook({ enabled: false, isError: false })))],
    ['degraded:webhook_switched_off', observation(answered(webhook({ enabled: false, isError: null })))],
    [
      'degraded:webhook_disabled',
      observation(
        answered(webhook({ enabled: false, isError: null, ...delivered(1, [START - 3, START - 2, START - 1]) })),
      ),
    ],
    ['degraded:token_unknown', observation(answered(webhook({ tokenKnown: false })))],
    ['connected', observation(answered(webhook({ tokenKnown: null, isError: null, enabled: null, deliveries: null })))],
    ['degraded:events_missing', observation(answered(webhook({ missingEvents: ['kustomer.message.create'] })))],
    ['degraded:webhook_gone', observation(answered())],
    ['degraded:no_webhook', observation(answered(), { tokens: 0 })],
    ['degraded:no_webhook', { ...failed('not_permitted'), tokens: 0 }],
    ['pending_auth:key_refused', failed('key_refused')],
    ['pending_auth:no_credentials', observation(null, { tokens: 0 })],
    ['error:misconfigured', failed('misconfigured')],
    ['error:webhook_disabled', { ...DISABLED, pollWorks: false }],
    ['connected:no_api_key', observation(null)],
    ['connected:not_permitted', failed('not_permitted')],
    ['connected:webhook_unknown', observation({ kind: 'unclear' })],
  ])('%s', (expected, seen) => {
    expect(states(seen)).toEqual([expected]);
  });

  it('of two webhooks under rotation one that works is enough; of two faults it tells the current one', () => {
    const old = webhook({ id: 'w0', current: false, enabled: false, isError: true });
    expect(states(observation(answered(old, webhook())))).toEqual(['connected']);
    expect(states(observation(answered(old, webhook({ tokenKnown: false }))))).toEqual(['degraded:token_unknown']);
    expect(run(observation(answered(old, webhook())))[0]?.enable).toEqual([]);
  });

  it('takes failing deliveries for a fault while they go on, and one that arrives for the end of it', () => {
    const failing = (...ago: number[]) =>
      observation(
        answered(
          webhook(
            delivered(
              START - 2 * MINUTE,
              ago.map((ms) => START - ms),
            ),
          ),
        ),
      );
    expect(states(failing(1, 2), failing(1, 2))).toEqual(['connected', 'connected']);
    expect(states(failing(1, 2, 3), failing(1, 2, 3))).toEqual(['connected', 'degraded:deliveries_failing']);
    const arrived = observation(answered(webhook(delivered(START + 90_000))));
    expect(states(failing(1, 2, 3), failing(1, 2, 3), arrived).at(-1)).toBe('connected');
  });

  it('forgets failures older than any pause between two tries', () => {
    const long = HEALTH_DEFAULTS.failureWindowMs + 1;
    const old = observation(answered(webhook(delivered(1, [START - long, START - long, START - long]))));
    expect(states(old, old, old)).toEqual(['connected', 'connected', 'connected']);
  });

  it('finds polled changes that no webhook brought, given time for one to come', () => {
    const changes = [1, 2, 3].map((n) => START + 30_000 + n);
    const silent = observation(answered(webhook(delivered(START))), { polledAtMs: changes });
    // Only at minute 3 has each had its two minutes; a minute later it is confirmed.
    expect(states(...Array(6).fill(silent))).toEqual([
      'connected',
      'connected',
      'connected',
      'connected',
      'degraded:not_delivered',
      'degraded:not_delivered',
    ]);
    const fewer = { ...silent, polledAtMs: changes.slice(1) };
    expect(states(...Array(6).fill(fewer))).toEqual(Array(6).fill('connected'));
    const brought = observation(answered(webhook(delivered(START + MINUTE))), { polledAtMs: changes });
    expect(states(...Array(6).fill(brought))).toEqual(Array(6).fill('connected'));
  });

  it('blames no webhook for changes from before it was seen', () => {
    const before = observation(answered(webhook()), { polledAtMs: [1, 2, 3].map((n) => START - n * 10 * MINUTE) });
    expect(states(...Array(4).fill(before))).toEqual(Array(4).fill('connected'));
    const switchedOn = observation(answered(webhook()), { polledAtMs: [1, 2, 3].map((n) => START + n) });
    expect(states(DISABLED, DISABLED, DISABLED, ...Array(4).fill(switchedOn)).slice(-3)).toEqual(
      Array(3).fill('connected'),
    );
  });

  it('judges by what came here only where the log may not be read, and then with more patience', () => {
    const changes = (count: number) => Array.from({ length: count }, (_, n) => START + 1 + n);
    const here = { acceptedHere: { sinceMs: START, lastAtMs: null } };
    const blind = (count: number) => ({ ...failed('not_permitted'), ...here, polledAtMs: changes(count) });
    expect(states(...Array(5).fill(blind(10))).at(-1)).toBe('degraded:not_delivered');
    expect(states(...Array(5).fill(blind(9))).at(-1)).toBe('connected:not_permitted');
    expect(states(...Array(5).fill({ ...blind(10), acceptedHere: null })).at(-1)).toBe('connected:not_permitted');
    const seeing = observation(answered(webhook(delivered(START + MINUTE))), { ...here, polledAtMs: changes(50) });
    expect(states(...Array(5).fill(seeing)).at(-1)).toBe('connected');
  });
});

describe('the machine', () => {
  it('D2: a sure fault counts at once, an unsure one when it was seen again', () => {
    expect(states(GOOD, DISABLED)).toEqual(['connected', 'degraded:webhook_disabled']);
    const away = failed('kustomer_unreachable');
    expect(states(GOOD, away, GOOD, away, away)).toEqual([
      'connected',
      'connected',
      'connected',
      'connected',
      'degraded:kustomer_unreachable',
    ]);
    expect(states(DISABLED, away)).toEqual(['degraded:webhook_disabled', 'degraded:webhook_disabled']);
  });

  it('D3: back at once with proof, after calm checks without', () => {
    const proof = observation(answered(webhook(delivered(START + 90_000))));
    expect(states(GOOD, DISABLED, proof)).toEqual(['connected', 'degraded:webhook_disabled', 'connected']);
    expect(states(GOOD, DISABLED, GOOD, GOOD)).toEqual([
      'connected',
      'degraded:webhook_disabled',
      'degraded:webhook_disabled',
      'connected',
    ]);
    expect(states(GOOD, DISABLED, GOOD, DISABLED, GOOD).slice(2)).toEqual(Array(3).fill('degraded:webhook_disabled'));
    const stale = observation(answered(webhook(delivered(START - 1))));
    expect(states(GOOD, DISABLED, stale).at(-1)).toBe('degraded:webhook_disabled');
  });

  it('D3: an answer proves that Kustomer answers', () => {
    const away = failed('kustomer_unreachable');
    expect(states(away, away, GOOD)).toEqual(['connected', 'degraded:kustomer_unreachable', 'connected']);
    expect(states(failed('key_refused'), GOOD)).toEqual(['pending_auth:key_refused', 'connected']);
  });

  it('D9: forgets what it found, but not when it last tried to enable', () => {
    const [first = expect.unreachable()] = run(DISABLED);
    expect(first.enable).toEqual(['w1']);
    const nowMs = first.nowMs + 1_000;
    const afresh = forgetFindings(first.health, nowMs);
    expect(afresh).toMatchObject({ state: 'connected', reason: null, sinceMs: nowMs, suspect: null, goodChecks: 0 });
    expect(decideHealth(afresh, DISABLED, nowMs)).toMatchObject({
      health: { reason: 'webhook_disabled' },
      enable: [],
    });
    expect(decideHealth(null, DISABLED, nowMs).enable).toEqual(['w1']);
  });

  it('D6, D7: enables what Kustomer switched off, ever more rarely until something arrives', () => {
    const attempts = run(...Array(140).fill(DISABLED)).flatMap(({ enable }, minute) =>
      enable.length > 0 ? [minute] : [],
    );
    expect(attempts).toEqual([0, 1, 3, 7, 15, 31, 63, 123]);
    const arrived = observation(
      answered(webhook({ enabled: false, isError: true, ...delivered(START + 200 * MINUTE) })),
    );
    // Without the arrival the next would be at minute 15; after it the pauses begin anew.
    const again = run(...Array(8).fill(DISABLED), arrived, DISABLED);
    expect(again.map(({ enable }) => enable.length)).toEqual([1, 1, 0, 1, 0, 0, 0, 1, 1, 1]);
    const person = observation(answered(webhook({ enabled: false, isError: false })));
    expect(run(...Array(10).fill(person)).flatMap(({ enable }) => enable)).toEqual([]);
  });
});

const reasonsOfFaults = ['key_refused', 'not_permitted', 'misconfigured', 'kustomer_unreachable'] as const;
const time = fc.integer({ min: START - 60 * MINUTE, max: START + 60 * MINUTE });
const maybe = fc.constantFrom(true, false, null);
const anyWebhook: fc.Arbitrary<WebhookFacts> = fc.record({
  id: fc.constantFrom('w0', 'w1'),
  current: fc.boolean(),
  enabled: maybe,
  isError: maybe,
  tokenKnown: maybe,
  missingEvents: fc.constantFrom([], [], ['kustomer.message.create']),
  deliveries: fc.option(
    fc.record({
      lastSuccessAtMs: fc.option(time),
      failuresAtMs: fc.array(time, { maxLength: 5 }),
      lastFailureStatus: fc.option(fc.constant('503')),
    }),
  ),
});
const anyAsked: fc.Arbitrary<Asked | null> = fc.oneof(
  { weight: 4, arbitrary: fc.array(anyWebhook, { maxLength: 2 }).map((webhooks) => answered(...webhooks)) },
  { weight: 2, arbitrary: fc.constantFrom(...reasonsOfFaults).map((fault): Asked => ({ kind: 'failed', fault })) },
  { weight: 1, arbitrary: fc.constantFrom<Asked | null>({ kind: 'unclear' }, null) },
);
const anyObservation: fc.Arbitrary<Observation> = fc.record({
  tokens: fc.integer({ min: 0, max: 2 }),
  asked: anyAsked,
  acceptedHere: fc.option(fc.record({ sinceMs: time, lastAtMs: fc.option(time) })),
  polledAtMs: fc.array(time, { maxLength: 12 }),
  pollWorks: maybe,
});
/** Few kinds and many repetitions, so that confirmations and ways back happen. */
const history = fc
  .array(anyObservation, { minLength: 1, maxLength: 3 })
  .chain((kinds) => fc.array(fc.constantFrom(GOOD, DISABLED, ...kinds), { minLength: 1, maxLength: 30 }));

const holds = (property: (observations: readonly Observation[]) => void) => {
  fc.assert(
    fc.property(history, (observations) => {
      property(observations);
    }),
    { numRuns: 1_000 },
  );
};

describe('whatever happens', () => {
  it('D1: it decides alike a second time', () => {
    holds((observations) => expect(run(...observations)).toEqual(run(...observations)));
  });

  it('D4, D8: since moves with state and reason, and what is not connected has a reason of its state', () => {
    holds((observations) => {
      let before: WebhookHealth | null = null;
      for (const { health, nowMs } of run(...observations)) {
        const same = before !== null && before.state === health.state && before.reason === health.reason;
        if (before !== null) expect(health.sinceMs).toBe(same ? before.sinceMs : nowMs);
        expect(CONNECTION_STATES).toContain(health.state);
        if (health.state !== 'connected') {
          expect(health.reason).not.toBeNull();
          const row: ReasonRow = HEALTH_REASONS[health.reason as HealthReason];
          expect([row.state, 'error']).toContain(health.state);
        } else if (health.reason !== null) expect(HEALTH_REASONS[health.reason].state).toBe('connected');
        before = health;
      }
    });
  });

  it('D3: nothing gets back to connected by one good check without proof', () => {
    holds((observations) => {
      const seen = run(...observations);
      for (const [index, { health }] of seen.entries()) {
        const before = seen[index - 1]?.health;
        if (before === undefined || before.state === 'connected' || health.state !== 'connected') continue;
        const row: ReasonRow = HEALTH_REASONS[before.reason as HealthReason];
        const { asked, acceptedHere } = observations[index] as Observation;
        const logs =
          asked?.kind === 'answered' ? asked.webhooks.map(({ deliveries }) => deliveries?.lastSuccessAtMs) : [];
        const arrived = [...logs, acceptedHere?.lastAtMs].some((atMs) => (atMs ?? 0) > before.sinceMs);
        expect(row.answers === true || arrived || before.goodChecks >= 1).toBe(true);
      }
    });
  });

  it('D5: what could not be looked at is not said to have been', () => {
    holds((observations) => {
      for (const [index, { health }] of run(...observations).entries()) {
        expect(health.checked).toBe(observations[index]?.asked?.kind === 'answered');
      }
    });
  });

  it('D6, D7: enables only what is off for its failures, and never twice within the pause', () => {
    holds((observations) => {
      let notBeforeMs = 0;
      for (const [index, { health, enable, nowMs }] of run(...observations).entries()) {
        const { asked } = observations[index] as Observation;
        for (const id of enable) {
          const webhooks = asked?.kind === 'answered' ? asked.webhooks.filter((one) => one.id === id) : [];
          expect(webhooks.some(({ enabled, isError }) => enabled === false && isError !== false)).toBe(true);
        }
        if (enable.length > 0) {
          expect(nowMs - notBeforeMs).toBeGreaterThanOrEqual(0);
          notBeforeMs = nowMs + HEALTH_DEFAULTS.enableMinMs;
          expect(health.enabling.notBeforeMs).toBeGreaterThanOrEqual(notBeforeMs);
        }
      }
    });
  });

  it('comes back to connected once everything is good, and stays', () => {
    holds((observations) => {
      const calm = Array(HEALTH_DEFAULTS.calmChecks).fill(GOOD);
      const end = states(...observations, ...calm, GOOD, GOOD);
      expect(end.slice(-2)).toEqual(['connected', 'connected']);
    });
  });
});
