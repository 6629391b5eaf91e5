import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { kafkaConfig, resolveSettings } from '../../../../src/kafka/kafkajs/settings.ts';

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const base = { brokers: ['a:9092', 'b:9092'], clientId: 'house' };

describe('Kafka settings', () => {
  it('become a KafkaJS configuration, with every retry spelled out', () => {
    const config = kafkaConfig({ settings: resolveSettings(base), logger, clientId: 'admin' });
    expect(config).toMatchObject({ brokers: ['a:9092', 'b:9092'], clientId: 'house-admin', requestTimeout: 10_000 });
    // KafkaJS fills gaps from defaults that depend on NODE_ENV.
    expect(Object.keys(config.retry ?? {}).sort()).toEqual(
      ['factor', 'initialRetryTime', 'maxRetryTime', 'multiplier', 'retries'].sort(),
    );
    expect(config).not.toHaveProperty('ssl');
    expect(config).not.toHaveProperty('sasl');
  });

  it('read TLS files and take credentials', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tls-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const caFile = join(folder, 'ca.pem');
    writeFileSync(caFile, 'authority');
    const sasl = { mechanism: 'scram-sha-512', username: 'u', password: 'p' } as const;
    const config = kafkaConfig({ settings: resolveSettings({ ...base, ssl: { caFile }, sasl }), logger });
    expect(config.ssl).toEqual({ ca: ['authority'] });
    expect(config.sasl).toEqual(sasl);
    expect(kafkaConfig({ settings: resolveSettings({ ...base, ssl: true }), logger }).ssl).toBe(true);
  });

  it('name the TLS file that cannot be read', () => {
    const settings = resolveSettings({ ...base, ssl: { keyFile: '/nowhere/key.pem' } });
    expect(() => kafkaConfig({ settings, logger })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});
