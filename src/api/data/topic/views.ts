/**
 * The topics that are being read, at most so many at once. One that nobody reads any more is kept for a while: joining
 * takes a client a moment, and who asked once mostly asks again.
 *
 * W1 At most `maxOpen` are open; the one unused for longest makes room, and when all are in use the answer is `queue_full`.
 * W2 One whose tail has ended, or whose topic has grown, is not handed out again; its users are told at most `checkMs` later,
 *    and it is closed when the last of them has left.
 * W3 What is kept of all topics together takes at most `maxBytes`: each has an equal share, and when there are more of them the
 *    oldest records go. They are in the log, and read from there.
 */
import { CodedError } from '../../../base/errors.ts';
import type { Log } from '../../../kafka/port.ts';
import { TopicLookup } from './lookup.ts';
import { TopicView, VIEW_SETTINGS, type ViewSettings } from './view.ts';

export interface TopicViewsOptions {
  readonly log: Log;
  readonly maxOpen?: number;
  readonly idleMs?: number;
  /** W3. */
  readonly maxBytes?: number;
  /** How often the topics are asked for the number of their partitions. */
  readonly checkMs?: number;
  readonly settings?: Partial<ViewSettings>;
  readonly failed: (topic: string, error: unknown) => void;
}

export interface Lease {
  readonly view: TopicView;
  /** True when another lease would lead to another view: let go of this one. */
  readonly isStale: () => boolean;
  release(): void;
}

interface Open {
  readonly view: TopicView;
  /** In the order of use; not a time. */
  usedAt: number;
  isRetired: boolean;
  idle: AbortController;
}

export const RECENT_MAX_BYTES = 67_108_864;
const DEFAULTS = { maxOpen: 64, idleMs: 300_000, checkMs: 30_000, maxBytes: RECENT_MAX_BYTES };

export class TopicViews {
  readonly #options: TopicViewsOptions & typeof DEFAULTS;
  readonly #open = new Map<string, Open>();
  readonly #opening = new Map<string, Promise<Open | undefined>>();
  readonly #closing = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #topics: TopicLookup;
  /** Those that hold records: also what is retired and still read. */
  readonly #living = new Set<TopicView>();
  #born = 0;
  #isWatching = false;
  #uses = 0;

  constructor(options: TopicViewsOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#topics = new TopicLookup(options.log.admin);
  }

  /** What is kept of all topics. */
  get bytes(): number {
    return [...this.#living].reduce((sum, { tail }) => sum + tail.bytes, 0);
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Undefined when there is no such topic (yet). Every lease must be released. */
  async lease(topic: string): Promise<Lease | undefined> {
    if (this.#stop.signal.aborted) throw new CodedError('shutting_down', 'the service is stopping');
    let open = await this.#usable(topic);
    // It may have had to make room between having been opened and now.
    if (open?.isRetired === true) open = await this.#usable(topic);
    if (open === undefined) return undefined;
    open.view.readers += 1;
    open.usedAt = ++this.#uses;
    open.idle.abort();
    let isReleased = false;
    return {
      view: open.view,
      isStale: () => open.isRetired || open.view.tail.failure !== null,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        this.#released(topic, open);
      },
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all([...this.#opening.values()].map((opening) => opening.catch(() => undefined)));
    for (const [topic, open] of this.#open) this.#retire(topic, open, 'now');
    await Promise.all(this.#closing);
  }

  async #usable(topic: string): Promise<Open | undefined> {
    const open = this.#open.get(topic);
    if (open !== undefined && open.view.tail.failure === null) return open;
    if (open !== undefined) this.#retire(topic, open);
    const opening = this.#opening.get(topic) ?? this.#openView(topic);
    this.#opening.set(topic, opening);
    try {
      return await opening;
    } finally {
      if (this.#opening.get(topic) === opening) this.#opening.delete(topic);
    }
  }

  async #openView(topic: string): Promise<Open | undefined> {
    const found = (await this.#topics.find([topic])).get(topic);
    if (found === undefined) return undefined;
    if (this.#open.size + this.#opening.size > this.#options.maxOpen) this.#makeRoom();
    const view = await this.#newView(topic, found.partitions);
    const open = { view, usedAt: ++this.#uses, isRetired: false, idle: new AbortController() };
    this.#open.set(topic, open);
    void this.#closeWhenIdle(topic, open);
    void this.#watchGrowth();
    return open;
  }

  async #newView(topic: string, partitions: number): Promise<TopicView> {
    const { log, failed } = this.#options;
    const settings = { ...VIEW_SETTINGS, ...this.#options.settings };
    const ringBytes = (): number => Math.min(settings.ringMaxBytes, this.#share);
    this.#born += 1;
    this.#trim();
    try {
      const told = (error: unknown): void => failed(topic, error);
      const view = await TopicView.open({ log, topic, partitions, settings, ringBytes, failed: told });
      this.#living.add(view);
      return view;
    } finally {
      this.#born -= 1;
    }
  }

  /** W3: of each topic. */
  get #share(): number {
    return Math.floor(this.#options.maxBytes / Math.max(1, this.#living.size + this.#born));
  }

  #trim(): void {
    for (const { tail } of this.#living) tail.trim();
  }

  /** A client follows the partitions there were when it joined. All are asked for at once, as long as there are any. */
  async #watchGrowth(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const { log, checkMs, failed } = this.#options;
    while (this.#open.size > 0) {
      await log.clock.sleep(checkMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const asked = [...this.#open];
      const [first] = asked;
      if (first === undefined) break;
      const found = await this.#topics.find(this.#open.keys()).catch((error) => {
        failed(first[0], error);
        return undefined;
      });
      if (found === undefined) continue;
      for (const [topic, open] of asked) {
        if (!open.isRetired && found.get(topic)?.partitions !== open.view.partitions) this.#retire(topic, open);
      }
    }
    this.#isWatching = false;
  }

  /** W1 */
  #makeRoom(): void {
    const unused = [...this.#open].filter(([, { view }]) => view.readers === 0);
    const [oldest] = unused.sort(([, a], [, b]) => a.usedAt - b.usedAt);
    if (oldest === undefined) {
      throw new CodedError('queue_full', 'too many topics are being read', { open: this.#open.size });
    }
    this.#retire(...oldest);
  }

  #released(topic: string, open: Open): void {
    open.view.readers -= 1;
    if (open.view.readers > 0) return;
    if (open.isRetired) this.#closeNow(open);
    else void this.#closeWhenIdle(topic, open);
  }

  async #closeWhenIdle(topic: string, open: Open): Promise<void> {
    const idle = new AbortController();
    open.idle = idle;
    const signal = AbortSignal.any([idle.signal, this.#stop.signal]);
    await this.#options.log.clock.sleep(this.#options.idleMs, signal);
    if (!signal.aborted && open.view.readers === 0) this.#retire(topic, open);
  }

  /** W2 */
  #retire(topic: string, open: Open, when: 'unused' | 'now' = 'unused'): void {
    if (this.#open.get(topic) === open) this.#open.delete(topic);
    const wasRetired = open.isRetired;
    open.isRetired = true;
    open.idle.abort();
    open.view.tail.nudge();
    if (when === 'now' || (!wasRetired && open.view.readers === 0)) this.#closeNow(open);
  }

  #closeNow(open: Open): void {
    const closing = open.view
      .close()
      .catch((error) => this.#options.failed(open.view.topic, error))
      .finally(() => {
        this.#living.delete(open.view);
        this.#closing.delete(closing);
      });
    this.#closing.add(closing);
  }
}
