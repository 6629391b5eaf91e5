/** The words of webhook health: states, reasons, and what is observed. Plain data. */

/** As Fibric names them in `connector.status_changed`. */
export const CONNECTION_STATES = ['connected', 'degraded', 'error', 'pending_auth'] as const;
export type ConnectionState = (typeof CONNECTION_STATES)[number];

export interface ReasonRow {
  readonly state: ConnectionState;
  readonly sure: boolean;
  /** Not being able to ask Kustomer is the fault, so that its answer is the proof of the contrary. */
  readonly answers?: true;
  readonly meaning: string;
}

/** Every reason, with the state it means. */
export const HEALTH_REASONS = {
  no_credentials: {
    state: 'pending_auth',
    sure: true,
    answers: true,
    meaning: 'neither an API key nor a webhook token is stored',
  },
  key_refused: {
    state: 'pending_auth',
    sure: true,
    answers: true,
    meaning: 'Kustomer refuses the API key: it is wrong, has expired or was revoked',
  },
  misconfigured: { state: 'error', sure: true, answers: true, meaning: 'requests go to the wrong host or pod' },
  kustomer_unreachable: { state: 'degraded', sure: false, answers: true, meaning: 'Kustomer does not answer' },
  poll_failing: {
    state: 'degraded',
    sure: false,
    answers: true,
    meaning: 'the poll fails, so nothing makes up for lost webhooks',
  },
  no_webhook: { state: 'degraded', sure: true, meaning: 'there is no webhook; the poll carries everything' },
  webhook_gone: { state: 'degraded', sure: true, meaning: 'no webhook of the organisation is ours any more' },
  webhook_disabled: {
    state: 'degraded',
    sure: true,
    meaning: 'Kustomer switched the webhook off because deliveries failed',
  },
  webhook_switched_off: { state: 'degraded', sure: true, meaning: 'somebody switched the webhook off' },
  token_unknown: { state: 'degraded', sure: true, meaning: 'the webhook signs with a token we do not have' },
  events_missing: { state: 'degraded', sure: true, meaning: 'the webhook does not send every event we need' },
  deliveries_failing: { state: 'degraded', sure: false, meaning: 'deliveries of the webhook fail' },
  not_delivered: { state: 'degraded', sure: false, meaning: 'the poll finds changes that no webhook brought' },
  no_api_key: { state: 'connected', sure: true, meaning: 'not checked: there is no API key to ask with' },
  not_permitted: { state: 'connected', sure: true, meaning: 'not checked: the API key may not look at webhooks' },
  webhook_unknown: { state: 'connected', sure: true, meaning: 'not checked: which webhook is ours cannot be told' },
} as const satisfies Record<string, ReasonRow>;

export type HealthReason = keyof typeof HEALTH_REASONS;

/** One webhook of ours as Kustomer shows it; null where it does not say. */
export interface WebhookFacts {
  readonly id: string;
  /** False for the one before, while webhooks are being rotated. */
  readonly current: boolean;
  readonly enabled: boolean | null;
  readonly isError: boolean | null;
  readonly tokenKnown: boolean | null;
  readonly missingEvents: readonly string[];
  /** Null = the delivery log cannot be read. */
  readonly deliveries: DeliveryFacts | null;
}

/** What the delivery log says, in Kustomer's time. */
export interface DeliveryFacts {
  readonly lastSuccessAtMs: number | null;
  /** Failed attempts after the last success. */
  readonly failuresAtMs: readonly number[];
  readonly lastFailureStatus: string | null;
}

export type Asked =
  | { readonly kind: 'answered'; readonly webhooks: readonly WebhookFacts[] }
  | {
      readonly kind: 'failed';
      readonly fault: 'key_refused' | 'not_permitted' | 'misconfigured' | 'kustomer_unreachable';
    }
  /** Kustomer answered, but not which of its webhooks is ours. */
  | { readonly kind: 'unclear' };

/** Webhooks of the connection that this process has accepted. */
export interface AcceptedHere {
  /** Since when it counts. */
  readonly sinceMs: number;
  readonly lastAtMs: number | null;
}

export interface Observation {
  readonly tokens: number;
  /** Null = there is no key to ask with. */
  readonly asked: Asked | null;
  /** Null = the receiver runs elsewhere. Only used where the delivery log cannot be read. */
  readonly acceptedHere: AcceptedHere | null;
  /** When the changes happened that the poll saw lately, of kinds a webhook brings too. */
  readonly polledAtMs: readonly number[];
  /** Null = not known. */
  readonly pollWorks: boolean | null;
}

/** Since when these very webhooks were seen switched on. */
export interface Watching {
  /** Their ids; null = never seen. */
  readonly webhooks: string | null;
  /** Changes from before need not have come by them. */
  readonly sinceMs: number;
  /** Failures from before were of other webhooks, or from before they were switched on again. */
  readonly failuresFromMs: number;
}

export const NEVER_SEEN: Watching = { webhooks: null, sinceMs: 0, failuresFromMs: 0 };

export interface HealthOptions {
  readonly confirmChecks: number;
  readonly calmChecks: number;
  /** Failed deliveries in a row that make a fault. */
  readonly failures: number;
  /** Failures older than this say nothing: a little more than the longest pause of Kustomer's retries. */
  readonly failureWindowMs: number;
  /** Polled changes no webhook brought that make a fault. */
  readonly undelivered: number;
  /** The same where only this process's own receiver can be asked: others may have taken them. */
  readonly undeliveredHere: number;
  /** How long a webhook may take. */
  readonly graceMs: number;
  readonly enableMinMs: number;
  readonly enableMaxMs: number;
}

export const HEALTH_DEFAULTS: HealthOptions = {
  confirmChecks: 2,
  calmChecks: 2,
  failures: 3,
  failureWindowMs: 40 * 60_000,
  undelivered: 3,
  undeliveredHere: 10,
  graceMs: 120_000,
  enableMinMs: 60_000,
  enableMaxMs: 3_600_000,
};
