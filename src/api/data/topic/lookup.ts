/**
 * Which topics there are, asked of the broker. To answer it lists all its topics, however few are asked for; so there is one
 * question at a time, and who asks meanwhile shares the next. Many streams may wait for topics that are not there yet.
 */
import type { LogAdmin, TopicDescription } from '../../../kafka/port.ts';

interface Asked {
  readonly names: Set<string>;
  readonly answer: Promise<ReadonlyMap<string, TopicDescription>>;
}

export class TopicLookup {
  readonly #admin: Pick<LogAdmin, 'describeTopics'>;
  #last: Promise<unknown> = Promise.resolve();
  /** Not sent yet. */
  #next: Asked | undefined;

  constructor(admin: Pick<LogAdmin, 'describeTopics'>) {
    this.#admin = admin;
  }

  /** Those of the names that there are. */
  async find(names: Iterable<string>): Promise<ReadonlyMap<string, TopicDescription>> {
    this.#next ??= this.#ask();
    for (const name of names) this.#next.names.add(name);
    return this.#next.answer;
  }

  #ask(): Asked {
    const names = new Set<string>();
    const answer = this.#last.then(async () => {
      this.#next = undefined;
      const found = await this.#admin.describeTopics([...names]);
      return new Map(found.map((topic) => [topic.name, topic]));
    });
    this.#last = answer.catch(() => undefined);
    return { names, answer };
  }
}
