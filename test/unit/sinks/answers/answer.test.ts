import { describe, expect, it } from 'vitest';
import { createKeyring } from '../../../../src/app/control/seal.ts';
import type { LogRecord } from '../../../../src/kafka/port.ts';
import { type Answer, composeAnswerRecord, isAnswer, readAnswer } from '../../../../src/sinks/answers/answer.ts';
import { ANSWER_KEY_PURPOSE, createAnswerMac } from '../../../../src/sinks/answers/mac.ts';

const OLD = Buffer.alloc(32, 1);
const NEW = Buffer.alloc(32, 2);
const ANSWER: Answer = {
  tenantId: 't_acme',
  identity: 'a'.repeat(32),
  receiptId: `rc_${'b'.repeat(32)}`,
  answer: 'approve',
  by: 'ann@acme.example',
  note: 'she said so: "yes" – all right',
  vendorId: null,
  atMs: Date.UTC(2026, 0, 2),
};
const PLACE = { topic: 'commands', partition: 3, key: 'c'.repeat(24) };
const mac = createAnswerMac([NEW]);

function recordOf({ key, value, headers = {} }: ReturnType<typeof composeAnswerRecord>) {
  const bytes = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)] as const);
  return { key, value, headers: Object.fromEntries(bytes) } satisfies Partial<LogRecord>;
}

describe('an answer', () => {
  const record = recordOf(composeAnswerRecord(ANSWER, PLACE, mac));

  it('comes back as it was said, from the place of its command', () => {
    expect(composeAnswerRecord(ANSWER, PLACE, mac)).toMatchObject({ topic: 'commands', partition: 3 });
    expect(isAnswer(record)).toBe(true);
    expect(isAnswer({ headers: {} })).toBe(false);
    expect(readAnswer(record, mac)).toEqual({ ok: true, key: PLACE.key, answer: ANSWER });
  });

  it('J1: is forged when any of it was changed, or its key', () => {
    const wire = JSON.parse(String(record.value));
    const changes = {
      tenant_id: 't_other',
      identity: 'd'.repeat(32),
      receipt_id: `rc_${'d'.repeat(32)}`,
      answer: 'reject',
      by: 'eve',
      note: null,
      vendor_id: 'x',
      at: '2026-01-03T00:00:00.000Z',
      mac: 'f'.repeat(64),
    };
    expect(Object.keys(changes).toSorted()).toEqual(
      Object.keys(wire)
        .filter((name) => name !== 'version')
        .toSorted(),
    );
    for (const [name, value] of Object.entries(changes)) {
      const changed = { ...record, value: Buffer.from(JSON.stringify({ ...wire, [name]: value })) };
      expect(readAnswer(changed, mac), name).toMatchObject({ ok: false, code: 'answer_forged' });
    }
    for (const key of [null, Buffer.from('other')]) {
      expect(readAnswer({ ...record, key }, mac)).toMatchObject({ ok: false, code: 'answer_forged' });
    }
  });

  it('J3: that cannot be read tells what is wrong without what was said', () => {
    const wire = JSON.parse(String(record.value));
    const said = 'CANARY';
    for (const value of [
      null,
      Buffer.from(''),
      Buffer.from('null'),
      Buffer.from('[]'),
      Buffer.from(said),
      Buffer.alloc(20_000, '1'),
      ...[
        { version: 2 },
        { answer: said },
        { by: `${said}\n` },
        { at: said },
        { note: 1 },
        { mac: said },
        { [said]: 1 },
      ].map((more) => Buffer.from(JSON.stringify({ ...wire, ...more }))),
    ]) {
      const reading = readAnswer({ ...record, value }, mac);
      expect(reading).toMatchObject({ ok: false, code: 'answer_malformed' });
      expect(JSON.stringify(reading)).not.toContain(said);
    }
  });

  it('that could not be read back is not made', () => {
    for (const more of [
      { by: '' },
      { by: 'a\nb' },
      { note: 'x'.repeat(1001) },
      { receiptId: 'rc_1' },
      { tenantId: 'a b' },
    ]) {
      expect(() => composeAnswerRecord({ ...ANSWER, ...more }, PLACE, mac)).toThrow(RangeError);
    }
  });

  it('outlives the change of the master key, and is made with the newest', () => {
    const keysOf = (...keys: Buffer[]) => createAnswerMac(createKeyring(keys).derive(ANSWER_KEY_PURPOSE));
    const before = recordOf(composeAnswerRecord(ANSWER, PLACE, keysOf(OLD)));
    const after = recordOf(composeAnswerRecord(ANSWER, PLACE, keysOf(NEW, OLD)));
    expect(readAnswer(before, keysOf(NEW, OLD)).ok).toBe(true);
    expect(readAnswer(after, keysOf(NEW)).ok).toBe(true);
    expect(readAnswer(after, keysOf(OLD)).ok).toBe(false);
    expect(readAnswer(before, keysOf(NEW)).ok).toBe(false);
    // Neither the master key itself nor a key for something else will do.
    expect(readAnswer(before, createAnswerMac([OLD])).ok).toBe(false);
    expect(readAnswer(before, createAnswerMac(createKeyring([OLD]).derive('something else'))).ok).toBe(false);
    expect(() => createAnswerMac([])).toThrow(TypeError);
  });
});
