/**
 * The Avro schemas at the registry. Registering is an explicit step (`cn-kustomer schemas register`, and `connection add`
 * for a new tenant's topics); running services only look ids up, once, at start.
 */

import { CodedError, hasCode } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { ENVELOPE_SCHEMA_NAME, envelopeSchema } from '../fibric/avro.ts';
import { COMMAND_SCHEMA_NAME, commandSchema, RECEIPT_SCHEMA_NAME, receiptSchema } from '../fibric/commands/avro.ts';
import type { Clock } from '../kafka/port.ts';
import { createSchemaRegistry, type SchemaRegistryPort, valueSubject } from '../kafka/registry.ts';
import { waitForRegistry } from '../kafka/registry-wait.ts';
import type { TopicNames } from '../kafka/topics.ts';
import type { Settings } from './settings.ts';
import type { Logger } from './telemetry.ts';

interface SchemaRow {
  /** Its own subject, under which services look it up. */
  readonly subject: string;
  readonly schema: () => object;
  /** Topics whose consumers look for it under the topic's subject. */
  readonly topics: (names: TopicNames, tenants: readonly string[]) => readonly string[];
}

export const SCHEMAS = {
  envelope: {
    subject: ENVELOPE_SCHEMA_NAME,
    schema: envelopeSchema,
    topics: (names, tenants) => tenants.map((tenant) => names.events(tenant)),
  },
  command: { subject: COMMAND_SCHEMA_NAME, schema: commandSchema, topics: (names) => [names.commands] },
  receipt: {
    subject: RECEIPT_SCHEMA_NAME,
    schema: receiptSchema,
    topics: (names, tenants) => tenants.map((tenant) => names.receipts(tenant)),
  },
} as const satisfies Record<string, SchemaRow>;

export type SchemaKind = keyof typeof SCHEMAS;
export const SCHEMA_KINDS = Object.keys(SCHEMAS) as readonly SchemaKind[];
export type SchemaIds = Readonly<Record<SchemaKind, number>>;

export function openRegistry(settings: Settings): SchemaRegistryPort {
  return createSchemaRegistry({
    url: settings.registryUrl,
    username: settings.registryUsername,
    password: settings.registryPassword === undefined ? undefined : new Secret(settings.registryPassword),
  });
}

/** Registers each schema under its own name and for the topics it is on. Returns its id, the same for all of them. */
export async function registerSchemas(
  registry: SchemaRegistryPort,
  names: TopicNames,
  tenants: Iterable<string>,
): Promise<SchemaIds> {
  const known = [...new Set(tenants)];
  const ids: [SchemaKind, number][] = [];
  for (const kind of SCHEMA_KINDS) ids.push([kind, await register(registry, SCHEMAS[kind], names, known)]);
  return Object.fromEntries(ids) as SchemaIds;
}

async function register(
  registry: SchemaRegistryPort,
  row: SchemaRow,
  names: TopicNames,
  tenants: readonly string[],
): Promise<number> {
  const schema = JSON.stringify(row.schema());
  const id = await registry.registerSchema({ subject: row.subject, schema });
  for (const topic of row.topics(names, tenants)) {
    const other = await registry.registerSchema({ subject: valueSubject(topic), schema });
    if (other === id) continue;
    const message = 'This registry gives one schema several ids; records could not be decoded';
    throw new CodedError('schema_incompatible', message, { topic });
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

/** Waits for the registry, says so while it waits, and returns the ids that records of these kinds are written with. */
export async function lookUpSchemaIds(
  kinds: readonly SchemaKind[],
  { registry, clock, logger, deadlineMs, signal }: LookUpOptions,
): Promise<Partial<SchemaIds>> {
  if (kinds.length === 0) return {};
  await waitForRegistry({
    registry,
    clock,
    deadlineMs,
    signal,
    report: (message, facts) => logger.warn(facts, message),
  });
  const ids: [SchemaKind, number][] = [];
  for (const kind of kinds) ids.push([kind, await lookUp(registry, kind)]);
  return Object.fromEntries(ids);
}

async function lookUp(registry: SchemaRegistryPort, kind: SchemaKind): Promise<number> {
  const { subject, schema } = SCHEMAS[kind];
  try {
    return await registry.schemaId(subject, JSON.stringify(schema()));
  } catch (error) {
    if (!hasCode(error, 'schema_unknown')) throw error;
    throw new CodedError(
      'schema_unknown',
      `This version of the ${kind} schema is not registered; run \`cn-kustomer schemas register\` first`,
      { registry: registry.url },
    );
  }
}
