/** The limits of one sink process in a test, with windows as short as the test wants them. */
import type { QuotaNeed } from '../../../src/fibric/policy/compile.ts';
import type { Log } from '../../../src/kafka/port.ts';
import { fixedTopics, type TopicNames, type TopicSettings } from '../../../src/kafka/topics.ts';
import { openQuotaBook, type QuotaBook, type QuotaBookSettings } from '../../../src/sinks/quota/book.ts';
import type { SinkQuota } from '../../../src/sinks/quota/port.ts';

export interface LimitOptions {
  /** Of every rule, whatever its policy says; absent = as it says. */
  readonly windowMs?: number;
  readonly book?: Partial<QuotaBookSettings>;
}

export interface Limits extends SinkQuota {
  readonly book: QuotaBook;
}

export function limitTopics(settings: TopicSettings, names: TopicNames) {
  return fixedTopics(settings).filter(({ name }) => name === names.quota || name === names.quotaState);
}

export async function openLimits(log: Log, topics: TopicNames, options: LimitOptions): Promise<Limits> {
  const { windowMs } = options;
  const book = await openQuotaBook({
    log,
    topics,
    observer: { failed: () => undefined },
    ...(options.book === undefined ? {} : { settings: options.book }),
  });
  const shortened = (need: QuotaNeed): QuotaNeed => (windowMs === undefined ? need : { ...need, windowMs });
  return {
    book,
    usage: (need, nowMs, attemptId) => book.usage(shortened(need), nowMs, attemptId),
    reserve: (request) => book.reserve({ ...request, needs: request.needs.map(shortened) }),
    hurry: () => book.hurry(),
    release: (needs, attemptId) => book.release(needs.map(shortened), attemptId),
  };
}
