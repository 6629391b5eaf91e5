import { describe, expect, test } from 'vitest';
import { loadSettings, SETTINGS } from '../../../src/app/settings.ts';
import { hasCode } from '../../../src/base/errors.ts';

function problems(env: Record<string, string>): string {
  try {
    loadSettings(env);
  } catch (error) {
    if (hasCode(error, 'config_invalid')) return error.message;
    throw error;
  }
  return '';
}

describe('settings', () => {
  test('an empty environment gives complete defaults', () => {
    const settings = loadSettings({});
    expect(settings.kafkaBrokers).toEqual(['127.0.0.1:9092']);
    expect(settings.kafkaSaslPassword).toBeUndefined();
  });

  test('an empty variable counts as unset', () => {
    expect(loadSettings({ PORT: '' }).port).toBe(8080);
  });

  test('all problems are reported at once, each naming its variable', () => {
    const message = problems({ PORT: '99999', KAFKA_SSL: 'maybe', RAW_PARTITIONS: '2', PROCESS_SHARDS: '4' });
    for (const name of ['PORT', 'KAFKA_SSL', 'PROCESS_SHARDS']) expect(message).toContain(name);
  });

  test('variables are named once', () => {
    const names = Object.values(SETTINGS).map((setting) => setting.env);
    expect(new Set(names).size).toBe(names.length);
  });
});

test.each([
  ['LOG_LEVEL', 'bogus'],
  ['TOPIC_PREFIX', 'a b/'],
  ['KAFKA_BROKERS', 'host:notaport'],
  ['KAFKA_BROKERS', 'host'],
  ['KAFKA_BROKERS', 'host:0,other:9092'],
])('regression: %s=%s was found wrong only where it was used, as an error of the program', (name, value) => {
  expect(() => loadSettings({ [name]: value })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
});

test('takes brokers by name, address and IPv6 address', () => {
  const given = 'kafka-1.example:9092,10.0.0.1:19092,[::1]:9092';
  expect(loadSettings({ KAFKA_BROKERS: given }).kafkaBrokers).toEqual(given.split(','));
});
