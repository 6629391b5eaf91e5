import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { type BatchingOptions, BatchingProducer } from '../../../src/kafka/batching-producer.ts';
import { VirtualClock } from '../../../src/kafka/memory/virtual-clock.ts';
import type { Append, LogProducer } from '../../../src/kafka/port.ts';

interface Request {
  readonly records: readonly Append[];
  readonly answer: (error?: unknown) => void;
}

/** A producer whose answers the test gives. */
class HeldProducer implements LogProducer {
  readonly requests: Request[] = [];
  open = 0;
  closed = false;

  append(records: readonly Append[]): Promise<void> {
    this.open += 1;
    return new Promise((resolve, reject) => {
      this.requests.push({
        records,
        answer: (error) => {
          this.open -= 1;
          if (error === undefined) resolve();
          else reject(error);
        },
      });
    });
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

function setUp(options: Partial<BatchingOptions> = {}, lanes = 1) {
  const clock = new VirtualClock();
  const held = Array.from({ length: lanes }, () => new HeldProducer());
  const producer = new BatchingProducer({ producers: held, clock, gatherShare: 0, ...options });
  return { clock, held, first: held[0] as HeldProducer, producer };
}

const record = (value: string, key = 'k'): Append => ({ topic: 't', key: Buffer.from(key), value: Buffer.from(value) });
const valuesOf = ({ records }: Request) => records.map(({ value }) => String(value));

/** What became of each promise so far. */
function watch(promises: readonly Promise<void>[]): string[] {
  const outcomes = promises.map(() => 'pending');
  for (const [index, promise] of promises.entries()) {
    promise.then(
      () => {
        outcomes[index] = 'done';
      },
      (error: CodedError) => {
        outcomes[index] = error.code;
      },
    );
  }
  return outcomes;
}

describe('BatchingProducer', () => {
  it('sends at once when idle, collects while a request is in flight, and resolves only on the answer (B1)', async () => {
    const { clock, first, producer } = setUp();
    const outcomes = watch([producer.append(record('a')), producer.append(record('b'))]);
    await clock.settle();
    expect(first.requests.map(valuesOf)).toEqual([['a', 'b']]);

    const later = watch([producer.append(record('c')), producer.append(record('d'))]);
    await clock.settle();
    expect(first.requests).toHaveLength(1);
    expect(outcomes).toEqual(['pending', 'pending']);

    first.requests[0]?.answer();
    await clock.settle();
    expect(outcomes).toEqual(['done', 'done']);
    expect(later).toEqual(['pending', 'pending']);
    expect(first.requests.map(valuesOf)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('rejects the records of a failed request with its error, and goes on with the next', async () => {
    const { clock, first, producer } = setUp({ maxBatchRecords: 2 });
    const outcomes = watch(['a', 'b', 'c'].map((value) => producer.append(record(value))));
    await clock.settle();
    first.requests[0]?.answer(new CodedError('log_unavailable', 'down'));
    await clock.settle();
    expect(outcomes).toEqual(['log_unavailable', 'log_unavailable', 'pending']);
    expect(producer.health).toMatchObject({ heldRecords: 1, failedRecords: 2, failuresInARow: 1, lastError: 'down' });
    first.requests[1]?.answer();
    await clock.settle();
    expect(outcomes[2]).toBe('done');
    expect(producer.health).toMatchObject({ heldRecords: 0, heldBytes: 0, acknowledgedRecords: 1, failuresInARow: 0 });
  });

  it('settles every promise by its deadline, queued or in flight, and once (B2)', async () => {
    const { clock, first, producer } = setUp({ recordTimeoutMs: 1_000, maxBatchRecords: 1 });
    const outcomes = watch([producer.append(record('in flight')), producer.append(record('queued'))]);
    await clock.advance(999);
    expect(outcomes).toEqual(['pending', 'pending']);
    const young = watch([producer.append(record('young'))]);
    await clock.advance(101);
    expect(outcomes).toEqual(['log_unavailable', 'log_unavailable']);
    expect(young).toEqual(['pending']);

    first.requests[0]?.answer(); // too late: what was said stays said
    await clock.settle();
    expect(outcomes[0]).toBe('log_unavailable');
    expect(first.requests.map(valuesOf)).toEqual([['in flight'], ['young']]);
    expect(producer.health).toMatchObject({ heldRecords: 1, failedRecords: 2, acknowledgedRecords: 0 });
  });

  it.each([
    ['records', { maxQueuedRecords: 3 }],
    ['bytes', { maxQueuedBytes: 3 * 70 }],
  ])('refuses what exceeds its bound on %s, and accepts again when there is room (B3)', async (_what, bound) => {
    const { clock, first, producer } = setUp(bound);
    const outcomes = watch(['a', 'b', 'c', 'd'].map((value) => producer.append(record(value))));
    await clock.settle();
    expect(outcomes).toEqual(['pending', 'pending', 'pending', 'queue_full']);
    first.requests[0]?.answer();
    await clock.settle();
    const next = watch([producer.append(record('e'))]);
    await clock.settle();
    expect(next).toEqual(['pending']);
    expect(first.requests.map(valuesOf)).toEqual([['a', 'b', 'c'], ['e']]);
  });

  it('keeps the records of one key in one lane, in order, one request at a time (B4)', async () => {
    const { clock, held, producer } = setUp({ maxBatchRecords: 5 }, 2);
    const sent: string[] = [];
    const promises = Array.from({ length: 100 }, (_, index) =>
      producer.append(record(String(index), `key ${index % 7}`)),
    );
    await clock.settle();
    while (held.some(({ open }) => open > 0)) {
      for (const { requests, open } of held) {
        expect(open).toBeLessThanOrEqual(1);
        if (open === 1) sent.push(...(requests.at(-1) as Request).records.map(({ key, value }) => `${key}=${value}`));
        requests.at(-1)?.answer();
      }
      await clock.settle();
    }
    await Promise.all(promises);
    expect(held.every(({ requests }) => requests.length > 1)).toBe(true);
    for (let key = 0; key < 7; key += 1) {
      const numbers = sent.filter((text) => text.startsWith(`key ${key}=`)).map((text) => Number(text.split('=')[1]));
      expect(numbers).toEqual(Array.from({ length: 100 }, (_, index) => index).filter((index) => index % 7 === key));
    }
  });

  it('drains on close, accepts nothing more, and closes its producers (B5)', async () => {
    const { clock, first, producer } = setUp();
    const outcomes = watch([producer.append(record('a'))]);
    const closing = producer.close();
    const refused = watch([producer.append(record('b'))]);
    await clock.settle();
    expect(refused).toEqual(['shutting_down']);
    expect(first.closed).toBe(false);
    first.requests[0]?.answer();
    await closing;
    expect(outcomes).toEqual(['done']);
    expect(first.closed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('closes by the deadline of its records when the broker never answers (B2, B5)', async () => {
    const { clock, first, producer } = setUp({ recordTimeoutMs: 1_000 });
    const outcomes = watch([producer.append(record('a'))]);
    await clock.run(producer.close(), 1_200);
    expect(outcomes).toEqual(['log_unavailable']);
    expect(first.closed).toBe(true);
  });

  it('refuses the one key that is not safe, and only it', async () => {
    const { clock, first, producer } = setUp();
    await expect(producer.append({ topic: 't', key: Buffer.alloc(4), value: null })).rejects.toThrow(RangeError);
    void producer.append({ topic: 't', key: Buffer.from('four'), value: null });
    await clock.settle();
    expect(first.requests).toHaveLength(1);
    expect(producer.health.heldRecords).toBe(1);
  });

  describe('B7: parties', () => {
    it('refuses one that holds much while others find room, and takes it again when there is room', async () => {
      const { clock, first, producer } = setUp({ maxQueuedRecords: 18, greed: 8 });
      const noisy = watch(Array.from({ length: 20 }, (_, n) => producer.append(record(`noisy ${n}`), 'noisy')));
      const quiet = watch([producer.append(record('quiet'), 'quiet')]);
      await clock.settle();
      expect(noisy.filter((outcome) => outcome === 'share_full')).toHaveLength(4);
      expect(quiet).toEqual(['pending']);
      expect(producer.health.heldRecords).toBe(17);
      while (producer.health.heldRecords > 0) {
        first.requests.at(-1)?.answer();
        await clock.settle();
      }
      expect(quiet).toEqual(['done']);
      expect(watch([producer.append(record('again'), 'noisy')])).toEqual(['pending']);
      await clock.settle();
      first.requests.at(-1)?.answer();
      await producer.close();
    });

    it('counts bytes as well, and gives back what a refused record had of the other bound', async () => {
      const { clock, producer } = setUp({ maxQueuedBytes: 1_000, greed: 1 });
      const big = 'x'.repeat(350);
      const outcomes = watch([producer.append(record(big), 'noisy'), producer.append(record(big), 'noisy')]);
      await clock.settle();
      expect(outcomes).toEqual(['pending', 'share_full']);
      expect(producer.health.heldRecords).toBe(1);
    });

    it('puts one record of each in turn into a request; without parties all the room is for everybody', async () => {
      const { clock, first, producer } = setUp({ maxBatchRecords: 2, maxQueuedRecords: 5 });
      const appends = ['a', 'b', 'c', 'd'].map((value) => producer.append(record(value)));
      appends.push(producer.append(record('quiet'), 'quiet'));
      const over = watch([producer.append(record('one too many'))]);
      await clock.settle();
      expect(over).toEqual(['queue_full']);
      expect(valuesOf(first.requests[0] as Request)).toEqual(['a', 'quiet']);
      while (producer.health.heldRecords > 0) {
        first.requests.at(-1)?.answer();
        await clock.settle();
      }
      await Promise.all(appends);
    });
  });

  describe('B6: a burst that comes back goes out together', () => {
    /** A lane that has just sent ten records, its answer in. */
    async function afterTen() {
      const house = setUp({ gatherShare: 0.6 });
      for (let i = 0; i < 10; i++) void house.producer.append(record(`a${i}`));
      await house.clock.settle();
      house.first.requests[0]?.answer();
      await house.clock.settle();
      return house;
    }

    it('waits for a share of the last batch, not for all of it', async () => {
      const { clock, first, producer } = await afterTen();
      for (let i = 0; i < 5; i++) void producer.append(record(`b${i}`));
      await clock.settle();
      expect(first.requests).toHaveLength(1);
      void producer.append(record('b5'));
      await clock.settle();
      expect(first.requests.slice(1).map(valuesOf)).toEqual([['b0', 'b1', 'b2', 'b3', 'b4', 'b5']]);
    });

    it('waits no longer when somebody is in a hurry, and is asked how long each time', async () => {
      let gatherMs = 1000;
      const { clock, first, producer } = setUp({ gatherShare: 3, gatherMs: () => gatherMs });
      const sent = () => first.requests.map((request) => valuesOf(request).join());
      producer.hurry(); // nobody waits
      void producer.append(record('a'));
      await clock.settle();
      first.requests[0]?.answer();
      await clock.settle();
      void producer.append(record('b'));
      await clock.advance(999);
      expect(sent()).toEqual(['a']);
      producer.hurry();
      await clock.settle();
      expect(sent()).toEqual(['a', 'b']);
      first.requests[1]?.answer();
      gatherMs = 5;
      await clock.settle();
      void producer.append(record('c'));
      await clock.advance(5);
      expect(sent()).toEqual(['a', 'b', 'c']);
    });

    it('waits no longer than gatherMs, and after a small batch not at all', async () => {
      const { clock, first, producer } = await afterTen();
      void producer.append(record('b'));
      await clock.settle();
      expect(first.requests).toHaveLength(1);
      await clock.advance(1);
      expect(first.requests.slice(1).map(valuesOf)).toEqual([['b']]);
      first.requests[1]?.answer();
      await clock.settle();
      void producer.append(record('c'));
      await clock.settle();
      expect(first.requests).toHaveLength(3);
    });
  });
});
