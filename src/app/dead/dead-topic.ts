/**
 * Reads the dead topic: the newest letters of each partition, and single ones by place.
 *
 * R1 No more than SCAN_MAX_OFFSETS of a partition are looked at, newest first; what was left out is said.
 * R2 No body outlives the call it is handed to.
 * R3 Every read ends: at the offset that was the end when it began, or when nothing has come for a while although the
 *    broker answers. The last offsets before the end are seldom a record: a transaction's marker, or an aborted one.
 */
import { CodedError } from '../../base/errors.ts';
import type { Log, LogRecord, PartitionReader } from '../../kafka/port.ts';
import { byPlace, type DeadLetter, type LetterFilter, letterOf, matches, type Place, placeText } from './letter.ts';

export const SCAN_MAX_OFFSETS = 200_000;
const FIRST_WINDOW_OFFSETS = 64;
const MAX_WINDOW_OFFSETS = 50_000;
const LOOK_EVERY_MS = 25;
const QUIET_MS = 2_000;
/** Only one offset is missing, and that is nearly always the marker of the last transaction. */
const TAIL_QUIET_MS = 500;
/** Letters further apart are not fetched in one go. */
const GROUP_GAP_OFFSETS = 1_000;
const GROUP_MAX_LETTERS = 200;
const GROUP_MAX_BYTES = 16_777_216;

export interface Newest {
  /** Newest first. */
  readonly letters: readonly DeadLetter[];
  /** False: a partition was not looked at to its beginning, although that might have had more. */
  readonly complete: boolean;
}

export interface NewestOptions {
  readonly filter: LetterFilter;
  /** Most letters of each partition. */
  readonly limit: number;
}

export class DeadTopic {
  readonly #log: Log;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #reader: PartitionReader;

  /** Undefined when the topic does not exist (yet). */
  static async open(log: Log, topic: string): Promise<DeadTopic | undefined> {
    const [found] = await log.admin.describeTopics([topic]);
    if (found === undefined) return undefined;
    return new DeadTopic(log, found, await log.reader({ clientId: 'dead', topics: [topic] }));
  }

  private constructor(log: Log, topic: { name: string; partitions: number }, reader: PartitionReader) {
    this.#log = log;
    this.#topic = topic.name;
    this.#partitions = topic.partitions;
    this.#reader = reader;
  }

  async newest(options: NewestOptions): Promise<Newest> {
    const partitions = Array.from({ length: this.#partitions }, (_, partition) => partition);
    const found = await Promise.all(partitions.map((partition) => this.#newestOf(partition, options)));
    const letters = found.flatMap((one) => one.letters);
    return {
      letters: letters.sort((a, b) => b.atMs - a.atMs || byPlace(b, a)),
      complete: found.every((one) => one.complete),
    };
  }

  /** Throws `dead_letter_unknown` when nothing stands there, or no longer. */
  async find(place: Place): Promise<LogRecord> {
    let found: LogRecord | undefined;
    if (place.partition < this.#partitions) {
      const { low, high } = await this.#watermarks(place.partition);
      if (place.offset >= low && place.offset < high) {
        await this.#read({ partition: place.partition, from: place.offset, to: place.offset + 1 }, (record) => {
          found = record;
        });
      }
    }
    if (found !== undefined) return found;
    throw new CodedError('dead_letter_unknown', `${this.#topic} has no letter at ${placeText(place)}`);
  }

  /** Hands over the whole record of each letter, in the order of their places, a bounded number of them in memory. */
  async *records(letters: readonly DeadLetter[]): AsyncGenerator<LogRecord> {
    for (const group of grouped([...letters].sort(byPlace))) {
      const [first, last] = [group[0] as DeadLetter, group.at(-1) as DeadLetter];
      const wanted = new Set(group.map(({ offset }) => offset));
      const records: LogRecord[] = [];
      await this.#read({ partition: first.partition, from: first.offset, to: last.offset + 1 }, (record) => {
        if (wanted.has(record.offset)) records.push(record);
      });
      if (records.length < group.length) {
        throw new CodedError('dead_letter_unknown', `letters of partition ${first.partition} are gone meanwhile`);
      }
      yield* records;
    }
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  async #newestOf(partition: number, { filter, limit }: NewestOptions): Promise<Newest> {
    const { low, high } = await this.#watermarks(partition);
    const found: DeadLetter[] = [];
    let to = high;
    let window = Math.max(FIRST_WINDOW_OFFSETS, 2 * limit); // about every second offset is a marker
    while (to > low && found.length < limit && high - to < SCAN_MAX_OFFSETS) {
      const from = Math.max(low, to - Math.min(window, MAX_WINDOW_OFFSETS));
      const letters: DeadLetter[] = [];
      await this.#read({ partition, from, to }, (record) => letters.push(letterOf(record)));
      found.unshift(...letters.filter((letter) => matches(letter, filter)));
      to = from;
      window *= 4;
      const newest = letters.at(-1);
      if (newest !== undefined && filter.sinceMs !== undefined && newest.atMs < filter.sinceMs) {
        to = low; // whatever stands before it is older still
      }
    }
    return { letters: found.slice(-limit), complete: to <= low || found.length >= limit };
  }

  async #watermarks(partition: number) {
    return this.#log.admin.watermarks({ topic: this.#topic, partition });
  }

  /** R3 */
  async #read(range: { partition: number; from: number; to: number }, take: (record: LogRecord) => void) {
    const { partition, from, to } = range;
    const { clock } = this.#log;
    const progress = { position: from, atMs: clock.nowMs() };
    const end = Promise.withResolvers<void>();
    const ended = new AbortController();
    const follow = this.#reader.follow({
      topic: this.#topic,
      partition,
      fromOffset: from,
      records: ({ records }) => {
        if (ended.signal.aborted) return;
        for (const record of records) {
          progress.position = Math.min(record.offset + 1, to);
          if (record.offset < to) take(record);
        }
        progress.atMs = clock.nowMs();
        if (progress.position >= to) end.resolve();
      },
      failed: end.reject,
    });
    const quiet = async (): Promise<void> => {
      while (!ended.signal.aborted) {
        await clock.sleep(LOOK_EVERY_MS, ended.signal);
        const quietMs = progress.position === to - 1 ? TAIL_QUIET_MS : QUIET_MS;
        if (clock.nowMs() - progress.atMs < quietMs) continue;
        await this.#watermarks(partition); // throws when the silence is the broker's
        return;
      }
    };
    try {
      await Promise.race([end.promise, quiet()]);
    } finally {
      ended.abort();
      await follow.stop();
    }
  }
}

/** Letters of one partition that stand near one another, in bounded groups. */
function grouped(letters: readonly DeadLetter[]): readonly (readonly DeadLetter[])[] {
  const groups: DeadLetter[][] = [];
  let bytes = 0;
  for (const letter of letters) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    bytes += letter.bodyBytes;
    const joins =
      group !== undefined &&
      last?.partition === letter.partition &&
      letter.offset - last.offset <= GROUP_GAP_OFFSETS &&
      group.length < GROUP_MAX_LETTERS &&
      bytes <= GROUP_MAX_BYTES;
    if (joins) group.push(letter);
    else {
      groups.push([letter]);
      bytes = letter.bodyBytes;
    }
  }
  return groups;
}
