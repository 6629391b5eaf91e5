import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../../src/base/errors.ts';
import { coded, isCoordinatorBusy, isFenced, isHopeless } from '../../../../src/kafka/kafkajs/failures.ts';

const protocolError = (type: string) => Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type });
const wrapped = (cause: unknown) => new Error('retries exceeded', { cause: new Error('once more', { cause }) });

describe('what a KafkaJS error means', () => {
  it('is found behind any number of wrappings', () => {
    expect(isFenced(wrapped(protocolError('INVALID_PRODUCER_EPOCH')))).toBe(true);
    expect(isFenced(wrapped(Object.assign(new Error('unknown error'), { code: 90 })))).toBe(true);
    expect(isFenced(wrapped(protocolError('CONCURRENT_TRANSACTIONS')))).toBe(false);
    expect(isCoordinatorBusy(wrapped(protocolError('CONCURRENT_TRANSACTIONS')))).toBe(true);
    expect(isHopeless(new TypeError('x is not a function'))).toBe(true);
    expect(isHopeless(wrapped(protocolError('NOT_LEADER_FOR_PARTITION')))).toBe(false);
  });

  it.each([
    [protocolError('REQUEST_TIMED_OUT'), 'log_unavailable'],
    [protocolError('UNKNOWN_TOPIC_OR_PARTITION'), 'topic_invalid'],
    [Object.assign(new Error('many'), { errors: [protocolError('INVALID_PARTITIONS')] }), 'topic_invalid'],
    [protocolError('TOPIC_AUTHORIZATION_FAILED'), 'log_fatal'],
    [
      Object.assign(new Error('Snappy compression not implemented'), { name: 'KafkaJSNotImplemented' }),
      'codec_unsupported',
    ],
    ['a string', 'log_unavailable'],
  ])('becomes a code', (error, code) => {
    const result = coded(error, 'Appending');
    expect(result.code).toBe(code);
    expect(result.message).toContain('Appending: ');
    expect(result.cause).toBe(error);
  });

  it('leaves a coded error as it is, and survives a chain that bites its tail', () => {
    const own = new CodedError('queue_full', 'full');
    expect(coded(own, 'Appending')).toBe(own);
    const circle = new Error('circle');
    circle.cause = circle;
    expect(isFenced(circle)).toBe(false);
  });
});
