/** The log port on a real Kafka, through KafkaJS 2.2.4. The traps of that client are handled in this folder and nowhere else. */
import './quirks.ts'; // before kafkajs
import { realClock } from '../../base/clock.ts';
import { CodedError } from '../../base/errors.ts';
import type {
  GroupMember,
  GroupOptions,
  Log,
  LogProducer,
  PartitionReader,
  ProducerOptions,
  TransactionalProducer,
} from '../port.ts';
import { KafkaAdmin } from './admin.ts';
import { openGroup } from './group.ts';
import type { Logger } from './logging.ts';
import { KafkaProducer } from './producer.ts';
import { KafkaReader } from './reader.ts';
import { type ClientOptions, type KafkaSettings, type ResolvedSettings, resolveSettings } from './settings.ts';
import { ThreadedProducer } from './threaded-producer.ts';
import { KafkaTransactionalProducer } from './transactional.ts';
import { closeAll } from './waiting.ts';

export type { Logger } from './logging.ts';
export type { KafkaSasl, KafkaSettings, KafkaTlsFiles } from './settings.ts';

export interface KafkaLogOptions {
  readonly settings: KafkaSettings;
  readonly logger: Logger;
}

/** Opens nothing yet: every client connects when it is asked for. */
export function openKafkaLog({ settings, logger }: KafkaLogOptions): Log {
  return new KafkaLog({ settings: resolveSettings(settings), logger });
}

interface Closable {
  close(): Promise<void>;
}

class KafkaLog implements Log {
  readonly clock = realClock;
  readonly admin: KafkaAdmin;
  readonly #client: { readonly settings: ResolvedSettings; readonly logger: Logger };
  readonly #opened = new Set<Closable>();
  #closed = false;

  constructor(client: { readonly settings: ResolvedSettings; readonly logger: Logger }) {
    this.#client = client;
    this.admin = new KafkaAdmin(client);
  }

  producer({ clientId, ownThread = false }: ProducerOptions): Promise<LogProducer> {
    const options = this.#clientOptions(clientId);
    return this.#open<LogProducer>(() => (ownThread ? ThreadedProducer.open(options) : KafkaProducer.open(options)));
  }

  transactional(options: Parameters<Log['transactional']>[0]): Promise<TransactionalProducer> {
    return this.#open(() => KafkaTransactionalProducer.open(options, this.#clientOptions('transactional')));
  }

  group(options: GroupOptions): Promise<GroupMember> {
    return this.#open(() => openGroup(options, this.#clientOptions('member')));
  }

  reader({ clientId, topics }: Parameters<Log['reader']>[0]): Promise<PartitionReader> {
    const deleteGroup = (groupId: string) => this.admin.deleteGroup(groupId);
    return this.#open(() => KafkaReader.open({ client: this.#clientOptions(clientId), topics, deleteGroup }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opened = [...this.#opened];
    this.#opened.clear();
    try {
      await closeAll(opened.map((one) => () => one.close()));
    } finally {
      await this.admin.close(); // last: closing readers still ask it to forget their groups
    }
  }

  #clientOptions(clientId: string): ClientOptions {
    return { ...this.#client, clientId };
  }

  /** Remembers what is open until it is closed, by its owner or with the log. */
  async #open<T extends Closable>(open: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new CodedError('shutting_down', 'The log is closed');
    const opened = await open();
    if (this.#closed) {
      await opened.close();
      throw new CodedError('shutting_down', 'The log was closed');
    }
    this.#opened.add(opened);
    const close = opened.close.bind(opened);
    opened.close = async () => {
      this.#opened.delete(opened);
      await close();
    };
    return opened;
  }
}
