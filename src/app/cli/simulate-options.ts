/** The options of `cn-kustomer simulate`: from what was typed to what the simulator takes. All that is wrong is an error. */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { accessSchema } from '../../simulator/access.ts';
import { behaviourSchema } from '../../simulator/behaviour.ts';
import { limitsSchema } from '../../simulator/limits/limits.ts';
import { SLA_METRICS, type SlaMetric, type SlaPolicy } from '../../simulator/model/sla.ts';
import { requestFaultsSchema } from '../../simulator/requests/faults.ts';
import { searchSettingsSchema } from '../../simulator/search/settings.ts';
import type { SimulatorOptions } from '../../simulator/server.ts';
import { faultsSchema } from '../../simulator/webhooks/faults.ts';
import { durationMs, wholeNumber } from './options.ts';

/** As commander gives them. */
export interface SimulateFlags {
  readonly port: string;
  readonly orgs: readonly string[];
  readonly seed: string;
  readonly conversations: string;
  readonly history: string;
  readonly orders: string;
  readonly klasses: readonly string[];
  readonly sla?: readonly string[];
  readonly limits?: string;
  readonly search?: string;
  readonly roles?: readonly string[];
  readonly masked?: readonly string[];
  readonly behaviour?: string;
  readonly timeScale: string;
  readonly faults?: string;
  readonly requestFaults?: string;
}

const MAX_CONVERSATIONS = 1_000_000;
const MAX_TIME_SCALE = 1_000_000;
/** 24 hex, as the vendor's ids are; the same in every organisation. */
const SLA_ID = '51a000000000000000000001';
const PRIORITIES = 5;

/** Throws `config_invalid` naming the option. */
export function simulatorOptions(flags: SimulateFlags): SimulatorOptions {
  const conversations = wholeNumber('--conversations', flags.conversations, MAX_CONVERSATIONS);
  const access = {
    ...(flags.roles === undefined ? {} : { roles: flags.roles }),
    ...(flags.masked === undefined ? {} : { masked: flags.masked }),
  };
  const org = {
    conversations,
    historyMs: durationMs('--history', flags.history),
    orders: wholeNumber('--orders', flags.orders, MAX_CONVERSATIONS),
    klasses: klassNames(flags),
    sla: flags.sla === undefined ? undefined : slaPolicy(flags.sla),
    limits: json('--limits', flags.limits, limitsSchema, '{"orgPerMinute":300,"greedyPerMinute":200}'),
    search: json('--search', flags.search, searchSettingsSchema, '{"lagMs":{"min":200,"max":2000}}'),
    behaviour: json('--behaviour', flags.behaviour, behaviourSchema, '{"slaBreachEmits":true}'),
    access: checked('--roles, --masked', access, accessSchema),
  };
  return {
    orgs: flags.orgs.map((name) => ({ name, apiKey: `key-${name}`, ...org })),
    seed: flags.seed,
    port: wholeNumber('--port', flags.port, 65_535),
    timeScale: wholeNumber('--time-scale', flags.timeScale, MAX_TIME_SCALE, 1),
    faults: json('--faults', flags.faults, faultsSchema, '{"duplicate":0.2,"drop":0.05}'),
    requestFaults: json(
      '--request-faults',
      flags.requestFaults,
      requestFaultsSchema,
      '[{"path":"/v1/customers/search","kind":"status","status":429,"count":3}]',
    ),
  };
}

/** Undefined where nothing was given: the simulator has its own defaults. */
function json<S extends z.ZodType>(
  option: string,
  text: string | undefined,
  schema: S,
  example: string,
): z.output<S> | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CodedError('config_invalid', `${option}: not JSON; for example ${example}`);
  }
  return checked(option, value, schema);
}

function checked<S extends z.ZodType>(option: string, value: unknown, schema: S): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CodedError('config_invalid', `${option}: ${z.prettifyError(parsed.error)}`);
}

function klassNames({ klasses, orders }: SimulateFlags): readonly string[] {
  const wrong = klasses.find((name) => !/^[a-z][a-z0-9-]{0,49}$/.test(name));
  if (wrong !== undefined) {
    throw new CodedError('config_invalid', `--klasses: ${JSON.stringify(wrong)} is no name such as order or return`);
  }
  if (orders !== '0' && !klasses.includes('order')) {
    throw new CodedError('config_invalid', '--orders: there is no klass order; add it to --klasses');
  }
  return klasses;
}

/** `firstResponse=15m`, or five spans for the priorities 1 to 5: `nextReply=4h,2h,1h,30m,10m`. */
function slaPolicy(targets: readonly string[]): SlaPolicy {
  const targetsMs: Partial<Record<SlaMetric, number | readonly number[]>> = {};
  for (const target of targets) {
    const [name = '', spans = ''] = target.split('=');
    if (!isMetric(name)) {
      const known = SLA_METRICS.join(', ');
      throw new CodedError('config_invalid', `--sla: ${JSON.stringify(target)} does not begin with one of ${known}`);
    }
    const values = spans.split(',').map((span) => durationMs(`--sla ${name}`, span));
    if (values.length !== 1 && values.length !== PRIORITIES) {
      throw new CodedError('config_invalid', `--sla ${name}: one span, or five for the priorities 1 to 5`);
    }
    targetsMs[name] = values.length === 1 ? (values[0] as number) : values;
  }
  return { id: SLA_ID, name: 'Simulated SLA', version: 1, targetsMs };
}

function isMetric(name: string): name is SlaMetric {
  return (SLA_METRICS as readonly string[]).includes(name);
}
