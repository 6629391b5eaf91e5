/**
 * The envelope schema at the registry. Registering is an explicit step (`cn-kustomer schemas register`, and
 * `connection add` for a new tenant's topic); running services only look its id up, once, at start.
 */

import { CodedError, hasCode } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { ENVELOPE_SCHEMA_NAME, envelopeSchema } from '../fibric/avro.ts';
import type { Clock } from '../kafka/port.ts';
import { createSchemaRegistry, type SchemaRegistryPort, valueSubject } from '../kafka/registry.ts';
import { waitForRegistry } from '../kafka/registry-wait.ts';
import type { TopicNames } from '../kafka/topics.ts';
import type { Settings } from './settings.ts';
import type { Logger } from './telemetry.ts';

export function openRegistry(settings: Settings): SchemaRegistryPort {
  return createSchemaRegistry({
    url: settings.registryUrl,
    username: settings.registryUsername,
    password: settings.registryPassword === undefined ? undefined : new Secret(settings.registryPassword),
  });
}

/** Registers the schema under its own name and for each tenant's topic. Returns the id, the same for all of them. */
export async function registerEnvelopeSchema(
  registry: SchemaRegistryPort,
  names: TopicNames,
  tenants: Iterable<string>,
): Promise<number> {
  const schema = JSON.stringify(envelopeSchema());
  const id = await registry.registerSchema({ subject: ENVELOPE_SCHEMA_NAME, schema });
  for (const tenant of new Set(tenants)) {
    const other = await registry.registerSchema({ subject: valueSubject(names.events(tenant)), schema });
    if (other === id) continue;
    throw new CodedError(
      'schema_incompatible',
      'This registry gives one schema several ids; records could not be decoded',
      {
        tenant,
      },
    );
  }
  return id;
}

export interface LookUpOptions {
  readonly registry: SchemaRegistryPort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Waits for the registry, says so while it waits, and returns the id envelopes are written with. */
export async function lookUpSchemaId({ registry, clock, logger, deadlineMs, signal }: LookUpOptions): Promise<number> {
  await waitForRegistry({
    registry,
    clock,
    deadlineMs,
    signal,
    report: (message, facts) => logger.warn(facts, message),
  });
  try {
    return await registry.schemaId(ENVELOPE_SCHEMA_NAME, JSON.stringify(envelopeSchema()));
  } catch (error) {
    if (!hasCode(error, 'schema_unknown')) throw error;
    throw new CodedError(
      'schema_unknown',
      'This version of the envelope schema is not registered; run `cn-kustomer schemas register` first',
      { registry: registry.url },
    );
  }
}
