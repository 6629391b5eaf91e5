/** The compose file and the native stack are two ways to the same broker; versions stand in one file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { brokerProperties } from '../../../../scripts/stack/broker.ts';
import { composeProject } from '../../../../scripts/stack/docker.ts';
import { ROOT, readVersions } from '../../../../scripts/stack/versions.ts';

interface Service {
  readonly image: string;
  readonly ports: readonly string[];
  readonly environment: Readonly<Record<string, string | number>>;
  readonly healthcheck: unknown;
}

const text = readFileSync(join(ROOT, 'docker-compose.kafka.yml'), 'utf8');
const services = (parse(text) as { services: Record<'kafka' | 'registry', Service> }).services;

/** What differs by nature: where it listens and where it keeps its data. */
const PLACE =
  /^(listeners|advertised\.listeners|listener\.|inter\.broker\.listener|controller\.|log\.dirs|node\.id|process\.roles)/;

test('both configure the broker alike', () => {
  const native = new Map<string, string>();
  for (const line of brokerProperties('/data', 1, 2).trim().split('\n')) {
    const [name = '', value = ''] = line.split(/=(.*)/s);
    if (!PLACE.test(name)) native.set(name, value);
  }
  const compose = new Map<string, string>();
  for (const [name, value] of Object.entries(services.kafka.environment)) {
    if (!name.startsWith('KAFKA_') || name === 'KAFKA_HEAP_OPTS') continue;
    const property = name.slice('KAFKA_'.length).toLowerCase().replaceAll('_', '.');
    if (!PLACE.test(property)) compose.set(property, String(value));
  }
  expect(native.size).toBeGreaterThan(20);
  expect(Object.fromEntries(compose)).toEqual(Object.fromEntries(native));
});

test('the images take their versions from versions.env and nowhere else', () => {
  expect(services.kafka.image).toMatch(/^apache\/kafka:\$\{KAFKA_VERSION:\?/);
  expect(services.registry.image).toMatch(/^apicurio\/apicurio-registry:\$\{APICURIO_VERSION:\?/);
  const versions = readVersions();
  for (const version of [versions.kafka, versions.apicurio]) expect(text).not.toContain(version);
  expect(() => readVersions('KAFKA_VERSION=1\n')).toThrow('versions.env has no APICURIO_VERSION');
});

test('nothing listens beyond the loopback interface', () => {
  for (const service of Object.values(services)) {
    expect(service.ports).not.toHaveLength(0);
    for (const port of service.ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(service.healthcheck).toBeDefined();
  }
  const listeners = brokerProperties('/data', 1, 2).match(/listeners=(.*)/g) ?? [];
  expect(listeners.length).toBeGreaterThan(1);
  for (const address of listeners.join(',').match(/\/\/[^,]+/g) ?? [])
    expect(address).toMatch(/^\/\/127\.0\.0\.1:\d+$/);
});

test('the native registry keeps its schemas for ever, as their topic sets no retention', () => {
  expect(brokerProperties('/data', 1, 2)).toContain('\nlog.retention.ms=-1\n');
});

test('each clone has a compose project of its own', () => {
  expect(composeProject('/a')).not.toBe(composeProject('/b'));
  expect(composeProject('/a')).toMatch(/^cn-kustomer-[0-9a-f]{8}$/);
});
