import { Writable } from 'node:stream';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DocumentKind, type Documents, openDocuments } from '../../../../src/app/control/documents.ts';
import { CodedError } from '../../../../src/base/errors.ts';
import { createMemoryLog, type MemoryLog } from '../../../../src/kafka/memory/index.ts';
import { waitFor } from '../../../support/wait-for.ts';

const TOPIC = 'fibric.control';
const WRITER = `${TOPIC}.documents`;

interface Note {
  readonly words: readonly string[];
}

const NOTES: DocumentKind<Note> = {
  prefix: 'note',
  parse(value) {
    const { version, words } = value as { version?: unknown; words?: unknown };
    if (version !== 1 || !Array.isArray(words))
      throw new CodedError('document_unreadable', 'a note of another version');
    return { words };
  },
  encode: ({ words }) => ({ version: 1, words }),
};
const TAGS: DocumentKind<string> = {
  prefix: 'tag',
  parse: (value) => (value as { tag: string }).tag,
  encode: (tag) => ({ tag }),
};

let log: MemoryLog;
let opened: Documents[];
let logged: string;

beforeEach(async () => {
  log = createMemoryLog();
  opened = [];
  logged = '';
  await log.admin.createTopics([{ name: TOPIC, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
});

afterEach(async () => {
  for (const documents of opened) await documents.close();
  await log.close();
});

async function open(process: MemoryLog = log, timeoutMs = 5_000): Promise<Documents> {
  const write = (chunk: Buffer, _encoding: string, done: () => void) => {
    logged += chunk;
    done();
  };
  const logger = pino({ level: 'trace' }, new Writable({ write }));
  const documents = await openDocuments({ log: process, topic: TOPIC, logger, timeoutMs });
  opened.push(documents);
  return documents;
}

async function append(key: string, value: string | null): Promise<void> {
  const producer = await log.producer({ clientId: 'test' });
  await producer.append([
    { topic: TOPIC, partition: 0, key: Buffer.from(key), value: value === null ? null : Buffer.from(value) },
  ]);
  await producer.close();
}

const adding =
  (word: string) =>
  (now: Note | undefined): Note => ({ words: [...(now?.words ?? []), word] });
const high = async () => (await log.admin.watermarks({ topic: TOPIC, partition: 0 })).high;

describe('documents', () => {
  it('tell that the topic has been read to its end, be that the marker of a transaction', async () => {
    const documents = await open();
    await documents.table(NOTES).update('a', adding('one'));
    const end = await high();
    await waitFor(() => documents.readTo() === end, { message: 'the end of the topic' });
    expect(documents.controlAt()).toBeLessThan(end);
    await append('tag/x', '{"tag":"x"}');
    await waitFor(() => documents.controlAt() === end + 1, { message: 'the record behind it' });
    expect(documents.readTo()).toBe(end + 1);
  });

  it('D2: shows what it wrote when the change resolves, and other processes soon after', async () => {
    const [mine, other] = [(await open()).table(NOTES), (await open()).table(NOTES)];
    const told: string[] = [];
    other.onChange((key) => told.push(key));
    expect(await mine.update('t_a/x', adding('one'))).toEqual({ words: ['one'] });
    expect(mine.get('t_a/x')).toEqual({ words: ['one'] });
    await waitFor(() => other.get('t_a/x'), { message: 'the other process shows it' });
    expect(told).toEqual(['t_a/x']);
    expect(mine.get('t_a/y')).toBeUndefined();
  });

  it('lists what lies under a prefix, by key, and keeps kinds apart', async () => {
    const documents = await open();
    const [notes, tags] = [documents.table(NOTES), documents.table(TAGS)];
    for (const key of ['t_b/z', 't_a/y', 't_a/x']) await notes.update(key, adding(key));
    await tags.update('t_a/x', () => 'blue');
    expect(notes.list().map(([key]) => key)).toEqual(['t_a/x', 't_a/y', 't_b/z']);
    expect(notes.list('t_a/').map(([key]) => key)).toEqual(['t_a/x', 't_a/y']);
    expect(tags.list()).toEqual([['t_a/x', 'blue']]);
    expect(documents.table(NOTES)).toBe(notes);
    expect(() => documents.table({ ...NOTES })).toThrow('two kinds');
  });

  it('removes, writes nothing for an unchanged document, and resolves to what stands', async () => {
    const notes = (await open()).table(NOTES);
    await notes.update('t_a/x', adding('one'));
    const before = await high();
    expect(await notes.update('t_a/x', (now) => now)).toEqual({ words: ['one'] });
    expect(await notes.update('t_a/x', () => undefined)).toEqual({ words: ['one'] });
    expect(await notes.update('t_a/none', () => null)).toBeUndefined();
    expect(await notes.discard('t_a/none')).toBe(false);
    expect(await high()).toBe(before);
    expect(await notes.update('t_a/x', () => null)).toBeUndefined();
    expect(notes.list()).toEqual([]);
    expect((await open()).table(NOTES).list()).toEqual([]);
  });

  it('F1: holds the same after a restart from the compacted topic', async () => {
    const notes = (await open()).table(NOTES);
    for (const word of ['one', 'two', 'three']) await notes.update('t_a/x', adding(word));
    await notes.update('t_a/gone', adding('gone'));
    await notes.update('t_a/gone', () => null);
    log.compact(TOPIC);
    const later = (await open()).table(NOTES);
    expect(later.list()).toEqual([['t_a/x', { words: ['one', 'two', 'three'] }]]);
    expect(later.get('t_a/x')).toEqual(notes.get('t_a/x'));
  });

  it('F3: knows a kind that is named after its records came', async () => {
    const before = await open();
    await before.table(NOTES).update('t_a/x', adding('one'));
    await before.close();
    await append('note/t_a/bad', '{"version":9}');
    const documents = await open();
    expect(logged).not.toContain('note/t_a/bad');
    expect(documents.table(NOTES).get('t_a/x')).toEqual({ words: ['one'] });
    expect(logged).toContain('note/t_a/bad');
  });

  it('F2: tells what it cannot read, shows no older version of it, writes not over it, and lets it be removed', async () => {
    const documents = await open();
    const notes = documents.table(NOTES);
    await notes.update('t_a/other', adding('fine'));
    for (const damage of ['not json', '{}', 'null', '', '{"version":2,"words":["canary-7f3a"]}']) {
      await notes.update('t_a/x', adding('old'));
      await append('note/t_a/x', damage);
      await waitFor(() => notes.unreadable('t_a/').length === 1, { message: 'the damage is seen' });
      expect(notes.get('t_a/x')).toBeUndefined();
      expect(notes.list('t_a/').map(([key]) => key)).toEqual(['t_a/other']);
      expect(notes.unreadable('t_b/')).toEqual([]);
      await expect(notes.update('t_a/x', adding('new'))).rejects.toMatchObject({ code: 'document_unreadable' });
      expect(documents.health()).toMatchObject({ ready: true, detail: { unreadable: ['note/t_a/x'] } });
      expect(await notes.discard('t_a/x')).toBe(true);
      expect(documents.health().detail.unreadable).toEqual([]);
    }
    expect(logged).toContain('control.document_unreadable');
    expect(logged).not.toContain('canary-7f3a');
  });

  it('leaves records alone that are no documents', async () => {
    for (const key of ['barrier', 'note/', '/x', 'connection/t_a/cn_a']) await append(key, 'x');
    const documents = await open();
    expect(documents.table(NOTES).list()).toEqual([]);
    expect(documents.health().detail).toMatchObject({ documents: 0, unreadable: [] });
  });

  it('refuses a document that fits into no record, and what a plan throws is the caller’s', async () => {
    const notes = (await open()).table(NOTES);
    const before = await high();
    await expect(notes.update('t_a/x', () => ({ words: ['x'.repeat(1_000_000)] }))).rejects.toMatchObject({
      code: 'document_too_large',
    });
    let calls = 0;
    const failing = () => {
      calls += 1;
      throw new CodedError('log_unavailable', 'of the plan');
    };
    await expect(notes.update('t_a/x', failing)).rejects.toThrow('of the plan');
    expect(calls).toBe(1);
    // Only barriers, of having taken over.
    expect((await high()) - before).toBeLessThanOrEqual(3);
    expect(notes.get('t_a/x')).toBeUndefined();
  });
});

describe('several processes that change one document', () => {
  it('D1: in the same moment lose no change, and no state is ever seen that lacks an earlier one', async () => {
    const tables = await Promise.all([0, 1, 2].map(async () => (await open(log.connect())).table(NOTES)));
    const seen: number[] = [];
    tables[0]?.onChange((key) => seen.push(tables[0]?.get(key)?.words.length ?? 0));
    const rounds = 6;
    for (let round = 0; round < rounds; round += 1) {
      await Promise.all(tables.map((table, at) => table.update('t_a/x', adding(`${at}-${round}`))));
    }
    const later = (await open()).table(NOTES).get('t_a/x')?.words ?? [];
    expect(later.toSorted()).toEqual(
      Array.from({ length: rounds }, (_, round) => [0, 1, 2].map((at) => `${at}-${round}`))
        .flat()
        .toSorted(),
    );
    expect(seen).toEqual(Array.from({ length: rounds * 3 }, (_, at) => at + 1));
  });

  it('D1: a writer frozen in the middle of a change is fenced, and its record never counts', async () => {
    const frozen = log.connect();
    const [sleepy, awake] = [(await open(frozen)).table(NOTES), (await open(log.connect())).table(NOTES)];
    await sleepy.update('t_a/x', adding('first'));
    const held = log.faults.holdCommit(WRITER);
    const late = sleepy.update('t_a/x', adding('late'));
    await waitFor(() => held.reached, { message: 'the commit stands' });
    await awake.update('t_a/x', adding('second'));
    expect(awake.get('t_a/x')?.words).toEqual(['first', 'second']);
    held.release();
    await late;
    expect(sleepy.get('t_a/x')?.words).toEqual(['first', 'second', 'late']);
  });

  it.each(['committed', 'lost'] as const)(
    'D4: settles a commit whose answer is missing (%s), and writes once',
    async (outcome) => {
      const notes = (await open()).table(NOTES);
      await notes.update('t_a/x', adding('one'));
      log.faults.commitUnknown(outcome, WRITER);
      expect(await notes.update('t_a/x', adding('two'))).toEqual({ words: ['one', 'two'] });
      expect((await open()).table(NOTES).get('t_a/x')).toEqual({ words: ['one', 'two'] });
    },
  );

  it('answers with an error, not for ever, when the log takes nothing, and goes on after it', async () => {
    const notes = (await open(log, 300)).table(NOTES);
    log.faults.down();
    await expect(notes.update('t_a/x', adding('one'))).rejects.toMatchObject({ code: 'log_unavailable' });
    expect(notes.get('t_a/x')).toBeUndefined();
    log.faults.up();
    await waitFor(async () => (await notes.update('t_a/x', () => ({ words: ['two'] })))?.words[0] === 'two', {
      message: 'a change after the outage',
    });
  });

  it('D1, F1 (property): any interleaving of changes by several processes ends as if they came one after the other', async () => {
    const step = fc.record({ process: fc.nat(2), key: fc.constantFrom('t_a/x', 't_a/y'), remove: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const own = createMemoryLog();
        await own.admin.createTopics([{ name: TOPIC, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
        const processes = await Promise.all([0, 1, 2].map(() => open(own.connect())));
        const planned: { readonly key: string; readonly now: Note | undefined; readonly next: Note | null }[] = [];
        await Promise.all(
          steps.map(async ({ process, key, remove }, at) => {
            let last: (typeof planned)[number] | undefined;
            await processes[process]?.table(NOTES).update(key, (now) => {
              const next = remove && now !== undefined ? null : adding(String(at))(now);
              last = { key, now, next };
              return next;
            });
            if (last !== undefined) planned.push(last);
          }),
        );
        // Each effective change was planned on the result of another, or on nothing: chained, they use each result once.
        for (const key of ['t_a/x', 't_a/y']) {
          const changes = planned.filter((change) => change.key === key);
          const text = (note: Note | null | undefined) => note?.words.join() ?? '';
          const results = changes.map(({ next }) => text(next)).toSorted();
          const bases = changes.map(({ now }) => text(now)).toSorted();
          const final = text((await open(own)).table(NOTES).get(key));
          expect([...bases, final].toSorted()).toEqual(['', ...results].toSorted());
        }
        for (const documents of opened.splice(0)) await documents.close();
        await own.close();
      }),
      { numRuns: 25 },
    );
  });
});
