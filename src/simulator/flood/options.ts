/** What a flood is asked to do, and where to. */
import { CodedError } from '../../base/errors.ts';

export interface FloodOptions {
  /** Distinct changes; re-deliveries come on top. */
  readonly count: number;
  readonly seed: string | number;
  /** Sends per second; 0 or absent = flat out. */
  readonly rate?: number | undefined;
  /** Over all targets. Default: one per ten changes, at most 20,000 (all are kept in memory). */
  readonly conversations?: number | undefined;
  /** Exact re-deliveries as a fraction of `count`, 0..1. */
  readonly duplicates?: number | undefined;
  /** Fraction of the changes held back until a later change of the same object has gone out, 0..1. */
  readonly reorder?: number | undefined;
  /** HTTP connections, shared over the origins of the targets. */
  readonly connections?: number | undefined;
  /** Sends begun and not finally answered, waiting retries included. */
  readonly maxInFlight?: number | undefined;
  /** The whole flood ends by then, whatever is still unanswered. */
  readonly deadlineMs?: number | undefined;
  readonly answerTimeoutMs?: number | undefined;
  readonly maxAttempts?: number | undefined;
}

export interface FloodTarget {
  readonly tenantId: string;
  readonly connectionId: string;
  /** 24 hex; the organisation the bodies name. */
  readonly orgId: string;
  /** Signs the bodies. Never written anywhere. */
  readonly token: string;
  /** Full URL of the connection's receiver. */
  readonly url: string;
}

export interface FloodSettings {
  readonly count: number;
  readonly seed: string;
  /** 0 = flat out. */
  readonly rate: number;
  readonly conversations: number;
  readonly duplicates: number;
  readonly reorder: number;
  readonly connections: number;
  readonly maxInFlight: number;
  readonly deadlineMs: number;
  readonly answerTimeoutMs: number;
  readonly maxAttempts: number;
}

/** Flat out there is no schedule to fall behind, so more in flight than connections would only wait in line. */
const MAX_IN_FLIGHT_AT_RATE = 4096;

const MOST_BY_DEFAULT = 20_000;

const DEADLINE_GRACE_MS = 120_000;
const FLAT_OUT_FLOOR_PER_SECOND = 100;

export function floodSettings(options: FloodOptions, targets: readonly FloodTarget[]): FloodSettings {
  if (targets.length === 0) throw invalid('targets', 'at least one target');
  const count = within('count', options.count, 1, 1e9);
  const rate = options.rate ?? 0;
  if (!(rate >= 0 && rate <= 1e6)) throw invalid('rate', '0 (flat out) to 1,000,000 a second');
  const duplicates = fraction('duplicates', options.duplicates ?? 0);
  const connections = within('connections', options.connections ?? 64, 1, 4096);
  const sends = count * (1 + duplicates);
  const expectedMs = (sends / (rate || FLAT_OUT_FLOOR_PER_SECOND)) * 1000;
  return {
    count,
    seed: String(options.seed),
    rate,
    conversations: within(
      'conversations',
      options.conversations ?? Math.max(targets.length, Math.min(MOST_BY_DEFAULT, Math.ceil(count / 10))),
      1,
      1e7,
    ),
    duplicates,
    reorder: fraction('reorder', options.reorder ?? 0),
    connections,
    maxInFlight: within(
      'maxInFlight',
      options.maxInFlight ?? (rate > 0 ? MAX_IN_FLIGHT_AT_RATE : connections),
      1,
      65_536,
    ),
    deadlineMs: options.deadlineMs ?? expectedMs + DEADLINE_GRACE_MS,
    answerTimeoutMs: within('answerTimeoutMs', options.answerTimeoutMs ?? 10_000, 1, 600_000),
    maxAttempts: within('maxAttempts', options.maxAttempts ?? 40, 1, 1000),
  };
}

function within(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw invalid(name, `a whole number from ${min} to ${max}`);
  return value;
}

function fraction(name: string, value: number): number {
  if (!(value >= 0 && value <= 1)) throw invalid(name, 'a fraction from 0 to 1');
  return value;
}

function invalid(option: string, wanted: string): CodedError {
  return new CodedError('config_invalid', `flood: ${option} must be ${wanted}`, { option });
}
