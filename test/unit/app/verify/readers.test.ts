/** The parts of the readers that need no broker: framing, configuration, merging, bookkeeping of ends. */
import { execFileSync } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PartitionEnds } from '../../../../src/app/verify/partition-ends.ts';
import { startChild } from '../../../../src/app/verify/readers/child.ts';
import {
  javaProperties,
  librdkafkaProperties,
  writeConfigFile,
} from '../../../../src/app/verify/readers/client-config.ts';
import { javaFrames } from '../../../../src/app/verify/readers/java-frames.ts';
import { kcatFrames, kcatJsonLines } from '../../../../src/app/verify/readers/kcat-frames.ts';
import { merge } from '../../../../src/app/verify/readers/merge.ts';
import type { KafkaAccess } from '../../../../src/app/verify/readers/reader.ts';

const bytes = fc.option(fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)));

/** Feeds `whole` in pieces cut at random places. */
function inPieces<T>(whole: Buffer, cuts: readonly number[], feed: (piece: Buffer) => T[]): T[] {
  const places = [...cuts.map((cut) => cut % (whole.length + 1)), 0, whole.length].sort((a, b) => a - b);
  return places.slice(1).flatMap((end, i) => feed(Buffer.from(whole.subarray(places[i], end))));
}

describe("kcat's output", () => {
  const record = fc.record({ key: bytes, value: bytes, offset: fc.nat() });

  test('any bytes in keys and values, cut anywhere, come back as they were', () => {
    fc.assert(
      fc.property(fc.array(record), fc.array(fc.nat()), (records, cuts) => {
        const whole = Buffer.concat(
          records.flatMap(({ key, value, offset }) => [
            Buffer.from(`R t 1 ${offset} 99 ${key?.length ?? -1} ${value?.length ?? -1}\n`),
            key ?? Buffer.alloc(0),
            value ?? Buffer.alloc(0),
            Buffer.from('\n% Reached end of topic t [1] at offset 5\n% some notice\n'),
          ]),
        );
        const parse = kcatFrames();
        const items = inPieces(whole, cuts, (piece) => parse(piece, 7));
        expect(items).toEqual(
          records.flatMap(({ key, value, offset }) => [
            {
              kind: 'record',
              topic: 't',
              partition: 1,
              offset,
              timestampMs: 99,
              key,
              value,
              headers: {},
              arrivalMs: 7,
            },
            { kind: 'end', topic: 't', partition: 1, offset: 5 },
            { kind: 'notice', text: 'some notice' },
          ]),
        );
      }),
    );
  });

  test.each([
    'nonsense\n',
    'R t 0 0 0 1 1\nabc\n',
    'R t x 0 0 1 1\nab\n',
    'R t 0 0 0 1\nab\n',
    `${'x'.repeat(70_000)}`,
  ])('what is not a frame is an error, not a record: %j', (text) => {
    expect(() => kcatFrames()(Buffer.from(text), 0)).toThrow(/cannot be read/);
  });

  test('in JSON mode headers come through whatever is in them', () => {
    const parse = kcatJsonLines();
    const json = {
      topic: 'd',
      partition: 2,
      offset: 4,
      ts: 5,
      headers: ['connection', 'cn_a', 'm', 'a,connection=b\n'],
    };
    const whole = Buffer.from(`% Reading\n${JSON.stringify(json)}\n`);
    const items = inPieces(whole, [3, 30], (piece) => parse(piece, 6));
    const { headers: _, ts: timestampMs, ...rest } = json;
    const headers = { connection: 'cn_a', m: 'a,connection=b\n' };
    const record = { kind: 'record', ...rest, timestampMs, key: null, value: null, headers, arrivalMs: 6 };
    expect(items).toEqual([{ kind: 'notice', text: 'Reading' }, record]);
    expect(() => kcatJsonLines()(Buffer.from('{"topic":\n'), 0)).toThrow(/not JSON/);
  });
});

describe("the Java reader's output", () => {
  const utf = (text: string) => {
    const body = Buffer.from(text);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(body.length);
    return Buffer.concat([length, body]);
  };
  const int = (value: number) => {
    const out = Buffer.alloc(4);
    out.writeInt32BE(value);
    return out;
  };
  const long = (value: number) => {
    const out = Buffer.alloc(8);
    out.writeBigInt64BE(BigInt(value));
    return out;
  };
  const blob = (value: Buffer | null) => (value === null ? int(-1) : Buffer.concat([int(value.length), value]));

  test('any bytes, cut anywhere, come back as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, bytes)), fc.array(fc.nat()), (records, cuts) => {
        const whole = Buffer.concat([
          ...[Buffer.from('V'), utf('4.3.1'), Buffer.from('T'), utf('t'), int(3)],
          ...records.flatMap(([key, value]) => [
            ...[Buffer.from('R'), utf('t'), int(1), long(8), long(9), long(10), blob(key), blob(value)],
            ...[int(1), utf('connection'), blob(Buffer.from('cn_a'))],
          ]),
          ...[Buffer.from('E'), utf('t'), int(1), long(12)],
        ]);
        const parse = javaFrames(new Set());
        const items = inPieces(whole, cuts, parse);
        const headers = { connection: 'cn_a' };
        const at = { kind: 'record', topic: 't', partition: 1, offset: 8, timestampMs: 9, arrivalMs: 10, headers };
        expect(items).toEqual([
          { kind: 'version', version: '4.3.1' },
          { kind: 'topic', topic: 't', partitions: 3 },
          ...records.map(([key, value]) => ({ ...at, key, value })),
          { kind: 'end', topic: 't', partition: 1, offset: 12 },
        ]);
      }),
    );
  });

  test('an unknown frame is an error', () => {
    expect(() => javaFrames(new Set())(Buffer.from('X'))).toThrow(/unknown frame/);
  });
});

describe('the configuration of the clients', () => {
  const access: KafkaAccess = {
    brokers: ['a:1', 'b:2'],
    ssl: true,
    sslCaFile: '/ca.pem',
    sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'p"w\\d' },
  };

  test('goes into a file only its owner can read, and away with it', async () => {
    const file = await writeConfigFile(librdkafkaProperties(access));
    const text = await readFile(file.path, 'utf8');
    expect((await stat(file.path)).mode & 0o777).toBe(0o600);
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'isolation.level=read_committed',
        'security.protocol=SASL_SSL',
        'sasl.mechanisms=SCRAM-SHA-512',
        'sasl.password=p"w\\d',
        'ssl.ca.location=/ca.pem',
      ]),
    );
    await file.remove();
    await expect(stat(file.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a line break in a value cannot smuggle in a setting, nor shows the value', () => {
    const evil = { ...access, sasl: { mechanism: 'plain', username: 'me', password: 'x\nisolation.level=none' } };
    expect(() => librdkafkaProperties(evil)).toThrow(/sasl.password must not contain a line break/);
    expect(() => librdkafkaProperties(evil)).not.toThrow(/none/);
    expect(Object.values(javaProperties(evil, null)).join('')).not.toContain('\n');
  });

  test('for Java quotes and backslashes of a password survive both of its quotings', () => {
    const { 'sasl.jaas.config': jaas } = javaProperties(access, null);
    expect(jaas).toContain('ScramLoginModule required username="me" password="p\\\\"w\\\\\\\\d";');
    const plain = javaProperties({ brokers: ['a:1'], ssl: false }, null);
    expect(plain).toMatchObject({ 'security.protocol': 'PLAINTEXT', 'bootstrap.servers': 'a:1' });
    expect(plain).not.toHaveProperty('sasl.jaas.config');
  });
});

describe('a child process', () => {
  async function drain(child: ReturnType<typeof startChild>): Promise<string> {
    let text = '';
    for await (const chunk of child.chunks) text += chunk.toString();
    return text;
  }

  test('that stops by itself is an error that says how', async () => {
    const child = startChild({ command: 'sh', args: ['-c', 'echo out; echo why >&2; exit 3'], mergeErrors: false });
    await expect(drain(child)).rejects.toMatchObject({
      code: 'reader_failed',
      message: expect.stringMatching(/3.*why/s),
    });
    const absent = startChild({ command: '/nonexistent/kcat', args: [], mergeErrors: false });
    await expect(drain(absent)).rejects.toMatchObject({ code: 'reader_failed' });
  });

  test('that is stopped ends quietly, is gone, and kept the order of both outputs until then', async () => {
    const script = 'echo $$; echo one >&2; echo two; while :; do echo more; done';
    const child = startChild({ command: 'sh', args: ['-c', script], mergeErrors: true });
    const iterator = child.chunks[Symbol.asyncIterator]();
    let text = '';
    while (!text.includes('more')) text += String((await iterator.next()).value);
    const [pid, ...rest] = text.split('\n');
    expect(rest.slice(0, 3)).toEqual(['one', 'two', 'more']);
    await child.stop();
    while ((await iterator.next()).done !== true);
    expect(() => execFileSync('kill', ['-0', pid as string], { stdio: 'ignore' })).toThrow();
  });
});

test('the room loads in Node itself, which sees less of CommonJS packages than the test runner does', () => {
  const index = new URL('../../../../src/app/verify/index.ts', import.meta.url).href;
  const script = `const room = await import(${JSON.stringify(index)}); process.stdout.write(typeof room.runVerify)`;
  const args = ['--no-warnings', '--input-type=module', '--eval', script];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('function');
});

describe('merging', () => {
  async function* from<T>(...values: T[]): AsyncGenerator<T> {
    yield* values;
  }
  test('gives everything of all sources, each in its order', async () => {
    const seen: string[] = [];
    for await (const value of merge([from('a1', 'a2', 'a3'), from<string>(), from('b1', 'b2')])) seen.push(value);
    expect(seen.filter((value) => value.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
    expect(seen.filter((value) => value.startsWith('b'))).toEqual(['b1', 'b2']);
    expect(seen.length).toBe(5);
  });
  test('fails when one source fails', async () => {
    async function* broken(): AsyncGenerator<string> {
      yield 'x';
      throw new Error('torn');
    }
    const all = async () => {
      for await (const _ of merge([from('a'), broken()]));
    };
    await expect(all()).rejects.toThrow('torn');
  });
});

describe('the ends of partitions (E1, E2)', () => {
  test('all topics must have been looked for, every partition must have been read to its end', () => {
    const ends = new PartitionEnds(['a', 'b']);
    expect(ends.backlogRead).toBe(false);
    ends.topic('a', 2);
    ends.topic('b', 0);
    ends.end('a', 0, 10);
    expect(ends.backlogRead).toBe(false);
    expect(ends.followedSinceMs('a')).toBeNull();
    ends.end('a', 1, 20);
    ends.end('a', 0, 30);
    expect(ends.followedSinceMs('a')).toBe(20);
    expect(ends.followedSinceMs('b')).toBeNull();
    expect(ends.backlogRead).toBe(true);
    expect(ends.tally).toEqual({ atEnd: 2, all: 2 });
  });

  test('a partition that has moved on counts only if it was at its end since', () => {
    const ends = new PartitionEnds(['a']);
    ends.topic('a', 1);
    ends.end('a', 0, 10);
    expect(ends.readSince(50)).toBe(true); // it still stands there
    ends.record('a', 0);
    expect(ends.readSince(10)).toBe(true);
    expect(ends.readSince(11)).toBe(false);
    expect(ends.followedSinceMs('a')).toBe(10);
    ends.topic('a', 2); // it appeared, or was made anew
    expect(ends.readSince(10)).toBe(false);
  });
});
