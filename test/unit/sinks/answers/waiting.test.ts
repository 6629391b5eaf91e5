import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../../src/base/errors.ts';
import { createCommandType } from '../../../../src/fibric/commands/avro.ts';
import type { WireCommand } from '../../../../src/fibric/commands/command.ts';
import { composeCommand } from '../../../../src/fibric/commands/compose-command.ts';
import { createMemoryLog } from '../../../../src/kafka/memory/index.ts';
import type { Append } from '../../../../src/kafka/port.ts';
import { fixedTopics, TOPIC_DEFAULTS, topicNames } from '../../../../src/kafka/topics.ts';
import { WireEncoder } from '../../../../src/kafka/wire.ts';
import { argsOf, composeAnswer, composeResend } from '../../../../src/sinks/answers/compose.ts';
import { createAnswerMac } from '../../../../src/sinks/answers/mac.ts';
import { openWaiting, type WaitingOptions, type WaitingView } from '../../../../src/sinks/answers/waiting.ts';
import { encodeEntry } from '../../../../src/sinks/ledger/codec.ts';
import { type Held, type LedgerEntry, NO_POLICY } from '../../../../src/sinks/ledger/entry.ts';
import { commandDecoder } from '../../../support/sinks/waiting.ts';
import { waitFor } from '../../../support/wait-for.ts';

const names = topicNames('');
const CONVERSATION = 'a'.repeat(24);
const encoder = new WireEncoder({ schemaId: 7, type: createCommandType() });

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function composed(number: number, deadlineMs: number | null = null) {
  const input = {
    commandId: `cmd-${number}`,
    tenantId: 't_acme',
    connection: 'kustomer-prod',
    capability: 'conversation.note.write',
    args: { conversation_id: CONVERSATION, body: `note ${number}` },
    idempotencyKey: `key-${number}`,
    operator: 'op',
    correlationId: 'corr',
    mode: 'live' as const,
    deadlineMs,
  };
  const made = composeCommand(input, 1000);
  if ('problems' in made) throw new Error(JSON.stringify(made.problems));
  return made;
}

const identityOf = (number: number) => number.toString(16).padStart(32, '0');

function heldOf(number: number, { tenantId = 't_acme', deadlineMs = null as number | null } = {}): Held {
  const subject = {
    tenantId,
    connectionId: 'cn_acme',
    capability: 'conversation.note.write',
    entityKey: `conversation:${CONVERSATION}`,
    idempotencyKey: `key-${number}`,
    commandId: `cmd-${number}`,
  };
  const { wire, key } = composed(number, deadlineMs);
  return {
    kind: 'held',
    fingerprint: 'b'.repeat(32),
    receiptId: `rc_${identityOf(number)}`,
    atMs: 10_000 - number,
    expiresAtMs: 20_000,
    subject,
    policy: NO_POLICY,
    record: { key, value: encoder.encode(wire), offset: number, appendedAtMs: 1000 },
  };
}

const done = (number: number): LedgerEntry => ({
  kind: 'done',
  fingerprint: 'b'.repeat(32),
  receiptId: `rc_${identityOf(number)}`,
  atMs: 1,
  vendorId: null,
});

async function setUp(more: Partial<WaitingOptions> = {}) {
  const log = createMemoryLog();
  const specs = fixedTopics({ ...TOPIC_DEFAULTS, commandPartitions: 2 });
  await log.admin.createTopics(specs.filter(({ name }) => name === names.ledger));
  const producer = await log.producer({ clientId: 'sink' });
  const lines: string[] = [];
  const write = (number: number, entry: LedgerEntry | null, partition = number % 2): Promise<void> => {
    const value = entry === null ? null : encodeEntry(entry);
    const append: Append = { topic: names.ledger, partition, key: Buffer.from(identityOf(number)), value };
    return producer.append([append]);
  };
  const open = async (): Promise<WaitingView> => {
    const logger = {
      warn: (fields: object) => lines.push(JSON.stringify(fields)),
      error: (fields: object) => lines.push(JSON.stringify(fields)),
    };
    const view = await openWaiting({ log, topics: names, logger, decoder: commandDecoder(), ...more });
    closing.push(() => view.close());
    return view;
  };
  return { log, write, open, lines, producer };
}

const commandsIn = (view: WaitingView, tenantId = 't_acme') =>
  view.list(tenantId).map(({ subject }) => subject.commandId);

describe('the list of what waits', () => {
  it('holds what the ledger says, longest first, each tenant its own, and follows what comes', async () => {
    const { write, open } = await setUp();
    for (const number of [1, 2, 3]) await write(number, heldOf(number));
    await write(4, heldOf(4, { tenantId: 't_other' }));
    await write(2, done(2));
    await write(5, done(5));
    const view = await open();
    await view.caughtUp();
    expect(view.health()).toMatchObject({ ready: true, detail: { entries: 3, missing: 0, unreadable: 0 } });
    expect(commandsIn(view)).toEqual(['cmd-3', 'cmd-1']);
    expect(commandsIn(view, 't_other')).toEqual(['cmd-4']);
    expect(commandsIn(view, 't_nobody')).toEqual([]);
    const [first] = view.list('t_acme');
    expect(view.get('t_acme', first?.id ?? '')).toBe(first);
    expect(view.get('t_other', first?.id ?? '')).toBeUndefined();
    const told: string[] = [];
    const stop = view.onChange((tenantId) => told.push(tenantId));
    await write(1, null);
    await write(5, {
      ...done(5),
      kind: 'parked',
      subject: heldOf(5).subject,
      policy: NO_POLICY,
      record: null,
    } as never);
    await waitFor(() => commandsIn(view).join() === 'cmd-5,cmd-3', { message: 'what came' });
    expect(view.list('t_acme')[0]).toMatchObject({ kind: 'parked', id: `prk_${identityOf(5)}`, expiresAtMs: null });
    expect(new Set(told)).toEqual(new Set(['t_acme']));
    stop();
  });

  it('is bounded; what found no room is counted, and listed once there is room', async () => {
    const { write, open, lines } = await setUp({ bounds: { maxEntries: 4, maxBytes: 2 ** 20 } });
    for (let number = 0; number < 10; number++) await write(number, heldOf(number));
    const view = await open();
    await view.caughtUp();
    expect(view.health()).toMatchObject({ ready: false, detail: { entries: 4, missing: 6, caughtUp: true } });
    expect(lines.filter((line) => line.includes('waiting.full'))).toHaveLength(1);
    for (const subject of view.list('t_acme')) await write(Number(subject.subject.commandId.slice(4)), done(0));
    await waitFor(() => view.health().detail.entries === 4, { message: 'the next ones' });
    for (let number = 0; number < 10; number++) if (number !== 7) await write(number, done(number));
    await waitFor(() => view.health().ready && commandsIn(view).join() === 'cmd-7', { message: 'the last one' });
  });

  it('leaves out what it cannot read, and says so', async () => {
    const { write, open, producer } = await setUp();
    const key = Buffer.from(identityOf(1));
    await producer.append([{ topic: names.ledger, partition: 0, key, value: Buffer.of(99) }]);
    await write(2, {
      ...heldOf(2),
      record: { ...(heldOf(2).record as never as object), value: Buffer.of(9) } as never,
    });
    const view = await open();
    await view.caughtUp();
    expect(view.health().detail.unreadable).toBe(1);
    expect(view.list('t_acme')).toMatchObject([{ command: null }]);
  });

  it('shows a command as soon as its schema can be had', async () => {
    const decoder = commandDecoder();
    let failures = 2;
    const flaky: WaitingOptions['decoder'] = {
      prepare: (record) => {
        if (failures-- > 0) return Promise.reject(new CodedError('registry_unavailable', 'away'));
        return decoder.prepare(record);
      },
      decode: (record) => decoder.decode(record),
    };
    const { write, open } = await setUp({ decoder: flaky });
    await write(1, heldOf(1));
    const view = await open();
    const [one] = await waitFor(() => view.list('t_acme')[0]?.command != null && view.list('t_acme'), {
      message: 'it',
    });
    expect(argsOf(one?.command as WireCommand)).toEqual({ conversation_id: CONVERSATION, body: 'note 1' });
  });
});

describe('what is appended when they have decided', () => {
  const topic = names.commands;
  const mac = createAnswerMac([Buffer.alloc(32)]);
  const said = { by: 'ann', note: null, nowMs: 5000 };

  async function waiting(deadlineMs: number | null) {
    const { write, open } = await setUp();
    await write(1, heldOf(1, { deadlineMs }));
    const view = await open();
    return waitFor(() => view.list('t_acme')[0]?.command != null && view.list('t_acme')[0], { message: 'it' });
  }

  it('goes to the partition of the command, under its key; and only what can be said to it', async () => {
    const one = await waiting(null);
    const append = composeAnswer(one as never, { ...said, answer: 'approve' }, { topic, mac });
    expect(append).toMatchObject({ topic, partition: 1, key: Buffer.from(CONVERSATION) });
    expect(() => composeAnswer(one as never, { ...said, answer: 'applied' }, { topic, mac })).toThrow(RangeError);
  });

  it.each([
    ['a deadline ahead', 6000, '1970-01-01T00:00:06.000Z'],
    ['one that has passed', 4000, null],
    ['none', null, null],
  ])('sends the command again as a new one, with %s', async (_, deadlineMs, deadline) => {
    const one = await waiting(deadlineMs);
    if (one === undefined) throw new Error('nothing waits');
    let sent: WireCommand | undefined;
    const encode = (command: WireCommand) => {
      sent = command;
      return encoder.encode(command);
    };
    const append = composeResend(one as never, { commandId: 'cmd-new', nowMs: 5000 }, { topic, encode, mac });
    expect(append).toMatchObject({
      topic,
      partition: 1,
      key: Buffer.from(CONVERSATION),
      headers: { command_id: 'cmd-new' },
    });
    expect(sent).toMatchObject({ command_id: 'cmd-new', idempotency_key: 'key-1', deadline });
  });
});
