/** What in the book of places is a matter of time (B3 of book.ts, E3 of company.ts), by a clock that is moved by hand. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { QuotaNeed } from '../../../../src/fibric/policy/compile.ts';
import { createMemoryLog, VirtualClock } from '../../../../src/kafka/memory/index.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../../../../src/kafka/topics.ts';
import { openQuotaBook, type QuotaBookSettings } from '../../../../src/sinks/quota/book.ts';
import { need } from '../../../support/sinks/quota-need.ts';

const names = topicNames('');

async function setUp(settings: Partial<QuotaBookSettings> = {}) {
  const clock = new VirtualClock();
  const log = createMemoryLog({ clock });
  const specs = fixedTopics(TOPIC_DEFAULTS).filter(({ name }) => name === names.quota || name === names.quotaState);
  await clock.run(log.admin.createTopics(specs));
  const observer = { failed: (doing: string) => expect.unreachable(doing) };
  const book = await clock.run(openQuotaBook({ log, topics: names, settings, observer }));
  onTestFinished(() => clock.run(book.close()));
  const { signal } = new AbortController();
  const ask = (attemptId: string, of: QuotaNeed, isPatient = false) =>
    book.reserve({ needs: [of], attemptId, signal, isPatient, timeoutMs: 2000 });
  return { clock, book, ask };
}

describe('places', () => {
  it('become free when their window is over, and not before', async () => {
    const { clock, ask } = await setUp();
    const limit = need(2, { windowMs: 1000 });
    const startedAtMs = clock.nowMs();
    expect((await clock.run(ask('a', limit))).kind).toBe('granted');
    expect((await clock.run(ask('b', limit))).kind).toBe('granted');
    const tookMs = clock.nowMs() - startedAtMs;
    await clock.advance(1000 - tookMs - 10);
    expect((await clock.run(ask('c', limit))).kind).toBe('limited');
    await clock.advance(10 + tookMs);
    expect((await clock.run(ask('d', limit))).kind).toBe('granted');
  });

  it('B3: count from when they were last asked for, and last for a while', async () => {
    const { clock, ask } = await setUp({ freshMs: 30, placeMs: 100 });
    const limit = need(1, { windowMs: 150 });
    const startedAtMs = clock.nowMs();
    expect(await clock.run(ask('a', limit))).toEqual({ kind: 'granted', untilMs: startedAtMs + 100 });
    await clock.advance(startedAtMs + 100 - clock.nowMs());
    const movedAtMs = clock.nowMs();
    expect(await clock.run(ask('a', limit))).toEqual({ kind: 'granted', untilMs: movedAtMs + 100 });
    const other = await clock.run(ask('b', limit));
    const freeAt = Date.parse(other.kind === 'limited' ? String(other.message.split(' ').at(-1)) : '');
    expect(freeAt).toBeGreaterThanOrEqual(movedAtMs + 150);
  });

  it('E3: asked for ahead of their call wait for company until that call does', async () => {
    const { clock, book, ask } = await setUp();
    const answers: string[] = [];
    const reserve = (name: string, isPatient: boolean) =>
      void ask(name, need(10), isPatient).then(({ kind }) => answers.push(`${name} ${kind}`));
    reserve('ahead', true);
    await clock.advance(19);
    expect(answers).toEqual([]);
    await clock.advance(1);
    expect(answers).toEqual(['ahead granted']);
    reserve('waited for', true);
    await clock.advance(5);
    expect(answers).toHaveLength(1);
    book.hurry();
    await clock.settle();
    expect(answers.slice(1)).toEqual(['waited for granted']);
    reserve('taken along', true);
    await clock.advance(5);
    reserve('urgent', false);
    await clock.settle();
    expect(answers.slice(2)).toEqual(['taken along granted', 'urgent granted']);
  });
});
