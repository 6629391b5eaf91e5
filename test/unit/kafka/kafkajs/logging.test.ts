import { logLevel } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { kafkaLogCreator, type Logger } from '../../../../src/kafka/kafkajs/logging.ts';

function recorded() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { lines, logger };
}

const entry = (level: logLevel, message: string, extra: object = {}) => ({
  namespace: 'Connection',
  level,
  label: '',
  log: { timestamp: '', logger: 'kafkajs', message, ...extra },
});

describe('KafkaJS log lines', () => {
  it.each([
    ['Response GroupCoordinator(key: 10, version: 2)', { error: 'The group coordinator is not available' }],
    ['Failed to send messages: … another concurrent operation on the same transaction was ongoing', {}],
    ['Response Heartbeat(key: 12, version: 3)', { error: 'The group is rebalancing, so a rejoin is needed' }],
    ['Offset out of range, resetting to default offset', { topic: 't', partition: 1 }],
  ])('take routine for routine: %s', (message, extra) => {
    const { lines, logger } = recorded();
    kafkaLogCreator(logger)(logLevel.INFO)(entry(logLevel.ERROR, message, extra));
    expect(lines.map(({ level }) => level)).toEqual(['debug']);
  });

  it('keep what nobody expects at error, and are quiet where this house speaks itself', () => {
    const { lines, logger } = recorded();
    const log = kafkaLogCreator(logger)(logLevel.INFO);
    log(entry(logLevel.ERROR, 'Invariant violated'));
    log(entry(logLevel.ERROR, 'Connection error: connect ECONNREFUSED'));
    log(entry(logLevel.INFO, 'Consumer has joined the group'));
    expect(lines.map(({ level }) => level)).toEqual(['error', 'debug', 'debug']);
  });

  it('pass on named fields only, never payloads or credentials', () => {
    const { lines, logger } = recorded();
    const extra = { topic: 't', error: new Error('no'), payload: 'body', sasl: { password: 'secret' }, stack: 'at …' };
    kafkaLogCreator(logger)(logLevel.INFO)(entry(logLevel.ERROR, 'odd', extra));
    expect(lines).toEqual([
      { level: 'error', fields: { kafkajs: 'Connection', topic: 't', error: 'no' }, message: 'odd' },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('tell the hook of a position that was reset', () => {
    const { logger } = recorded();
    const resets: unknown[] = [];
    const log = kafkaLogCreator(logger, { offsetReset: (...where) => void resets.push(where) })(logLevel.INFO);
    log(entry(logLevel.ERROR, 'Offset out of range, resetting to default offset', { topic: 't', partition: 3 }));
    expect(resets).toEqual([['t', 3]]);
  });
});
