/** `cn-kustomer dead list|show|replay`. Bodies hold customers' data: only `show --body` prints one. */
import type { Command } from 'commander';
import { CodedError, ERROR_TABLE } from '../../base/errors.ts';
import type { Log } from '../../kafka/port.ts';
import { TENANT_ID, type TopicNames, topicNames } from '../../kafka/topics.ts';
import { DeadTopic, type Newest, SCAN_MAX_OFFSETS } from '../dead/dead-topic.ts';
import { type DeadLetter, type LetterFilter, letterOf, parsePlace, placeText, replayOf } from '../dead/letter.ts';
import { crowdedPartitions, planReplay, replay } from '../dead/replay.ts';
import { alignColumns, printable } from '../text-table.ts';
import type { AddCommand } from './add-command.ts';
import { type CliContext, EXIT } from './io.ts';
import { durationMs, wholeNumber } from './options.ts';

interface FilterFlags {
  readonly tenant?: string;
  readonly code?: string;
  readonly since?: string;
}
type ListFlags = FilterFlags & { readonly limit: string; readonly json?: true };
type ReplayFlags = FilterFlags & { readonly dryRun?: true; readonly force?: true; readonly commands?: true };

const LIST_MAX = 10_000;
/** Of one partition; more than this is no matter for a command line. */
const REPLAY_MAX = 10_000;

export const addDead: AddCommand = (program, context, finish) => {
  const dead = program
    .command('dead')
    .description('raw records that could not be processed, and commands nobody could be told of');
  dead
    .command('list')
    .description('list the newest dead letters, without their bodies')
    .option('--limit <n>', 'most letters', '20')
    .option('--tenant <id>', 'only those of this tenant')
    .option('--code <code>', 'only those with this error code')
    .option('--since <span>', 'only those of the last 90s, 30m, 1h, 2d, …')
    .option('--json', 'one JSON object per line')
    .action((flags: ListFlags) => list(context, flags));
  dead
    .command('show')
    .description('show one dead letter with its headers')
    .argument('<place>', 'where it stands, <partition>@<offset>')
    .option('--body', 'print its body, as it is, and nothing else to stdout')
    .action((place: string, flags: { body?: true }) => show(context, place, flags.body === true));
  dead
    .command('replay')
    .description('append dead letters to the topic they came from again, once their cause is removed')
    .argument('[place...]', 'where they stand, <partition>@<offset>')
    .option('--code <code>', 'instead of places: all with this error code')
    .option('--since <span>', 'with --code: only those of the last 90s, 30m, 1h, 2d, …')
    .option('--tenant <id>', 'with --code: only those of this tenant')
    .option('--commands', 'with --code: commands, which are then carried out, instead of raw records')
    .option('--dry-run', 'say what would be done')
    .option('--force', 'also when so many would stop their partition if they all failed again')
    .action((places: string[], flags: ReplayFlags, _command: Command) => replayAll(context, finish, places, flags));
};

async function list(context: CliContext, flags: ListFlags): Promise<void> {
  const limit = wholeNumber('--limit', flags.limit, LIST_MAX, 1);
  await withDeadTopic(context, async ({ dead, log }) => {
    const filter = filterOf(flags, log.clock.nowMs());
    const found = await dead?.newest({ filter, limit });
    const letters = found?.letters.slice(0, limit) ?? [];
    if (flags.json === true) for (const letter of letters) context.print(JSON.stringify(asJson(letter)));
    else if (letters.length > 0) context.print(asTable(letters));
    if (letters.length === 0) context.note('no dead letters');
    noteIncomplete(context, found);
  });
}

async function show(context: CliContext, text: string, withBody: boolean): Promise<void> {
  const place = parsePlace(text);
  await withDeadTopic(context, async ({ dead, names }) => {
    if (dead === undefined) throw new CodedError('dead_letter_unknown', `there is no topic ${names.dead}`);
    const record = await dead.find(place);
    if (withBody) {
      context.write(record.value ?? Buffer.alloc(0));
      return;
    }
    const rows = [
      ['place', text],
      ['time', new Date(record.timestampMs).toISOString()],
      ['key', record.key === null ? '(none)' : printable(record.key.toString())],
      ['body', record.value === null ? '(none)' : `${record.value.length} bytes`],
      ...Object.entries(record.headers).map(([name, value]) => [printable(name), printable(value.toString())]),
    ];
    for (const line of alignColumns(rows)) context.print(line);
  });
}

async function replayAll(
  context: CliContext,
  finish: (code: number) => void,
  places: readonly string[],
  flags: ReplayFlags,
): Promise<void> {
  if ((places.length === 0) === (flags.code === undefined)) {
    throw new CodedError('config_invalid', 'name either places, <partition>@<offset>, or --code');
  }
  if (places.length > 0 && (flags.since !== undefined || flags.tenant !== undefined || flags.commands !== undefined)) {
    throw new CodedError('config_invalid', '--since, --tenant and --commands go with --code, not with places');
  }
  const wanted = places.map(parsePlace);
  const dryRun = flags.dryRun === true;
  await withDeadTopic(context, async ({ dead, log, names }) => {
    const filter = filterOf(flags, log.clock.nowMs());
    if (dead === undefined) {
      if (wanted.length > 0) throw new CodedError('dead_letter_unknown', `there is no topic ${names.dead}`);
      context.note('no dead letters');
      return;
    }
    let found: readonly DeadLetter[];
    if (wanted.length > 0) {
      const letters: DeadLetter[] = [];
      for (const place of wanted) {
        const record = await dead.find(place);
        replayOf(record, names); // refuses before anything is done
        letters.push(letterOf(record));
      }
      found = letters;
    } else {
      const newest = await dead.newest({ filter, limit: REPLAY_MAX + 1 });
      noteIncomplete(context, newest);
      // Never both at once: a command that is replayed writes to Kustomer.
      const wantedTopic = flags.commands === true ? names.commands : names.raw;
      found = newest.letters.filter((letter) => letter.sourceTopic === wantedTopic && letter.source !== null);
      const commands = newest.letters.filter((letter) => letter.sourceTopic === names.commands).length;
      if (flags.commands !== true && commands > 0) context.note(`${commands} commands left out; see --commands`);
    }
    const { letters, repeated } = planReplay(found);
    if (letters.length === 0) context.note('no dead letters');
    guardCrowd(context, letters, names.raw, flags);
    for (const { letter, of } of repeated) {
      context.print(`skipped ${placeText(letter)}: the same delivery as ${placeText(of)}`);
    }
    const producer = dryRun ? undefined : await log.producer({ clientId: 'dead-replay' });
    const count = await replay({
      dead,
      letters,
      topics: names,
      ...(producer === undefined ? {} : { producer }),
      done: (letter) => context.print(`${dryRun ? 'would replay' : 'replayed'} ${describe(letter)}`),
      signal: context.signal,
    }).finally(() => producer?.close());
    if (count === letters.length) return;
    context.note(`interrupted: ${letters.length - count} not replayed`);
    finish(EXIT.failed);
  });
}

/** A partition whose letters all fail again would stop at `dead_letter_limit`. */
function guardCrowd(
  context: CliContext,
  letters: readonly DeadLetter[],
  rawTopic: string,
  { force, dryRun }: ReplayFlags,
): void {
  const { deadLetterRun } = context.settings();
  const [crowded] = crowdedPartitions(letters, { maxInARow: deadLetterRun, rawTopic });
  if (crowded === undefined || force === true) return;
  const text =
    `partition ${crowded.partition} would get ${crowded.letters} letters, and stops after ${deadLetterRun} in a row ` +
    'that fail again; replay one by its place first, then these with --force';
  if (dryRun === true) context.note(text);
  else throw new CodedError('config_invalid', text);
}

interface Work {
  readonly log: Log;
  readonly names: TopicNames;
  readonly dead: DeadTopic | undefined;
}

async function withDeadTopic(context: CliContext, work: (parts: Work) => Promise<void>): Promise<void> {
  const names = topicNames(context.settings().topicPrefix);
  const log = context.openLog();
  try {
    const dead = await DeadTopic.open(log, names.dead);
    await work({ log, names, dead });
    await dead?.close();
  } finally {
    await log.close();
  }
}

function filterOf({ tenant, code, since }: FilterFlags, nowMs: number): LetterFilter {
  if (tenant !== undefined && !TENANT_ID.test(tenant)) {
    throw new CodedError('config_invalid', `--tenant: ${JSON.stringify(tenant)} is no tenant id`);
  }
  if (code !== undefined && !Object.hasOwn(ERROR_TABLE, code)) {
    throw new CodedError('config_invalid', `--code: there is no error code ${JSON.stringify(code)}`);
  }
  return {
    tenantId: tenant,
    code,
    sinceMs: since === undefined ? undefined : nowMs - durationMs('--since', since),
  };
}

function noteIncomplete(context: CliContext, found: Newest | undefined): void {
  if (found?.complete !== false) return;
  context.note(`only the newest ${SCAN_MAX_OFFSETS} offsets of each partition were looked at`);
}

function asTable(letters: readonly DeadLetter[]): string {
  const head = ['TIME', 'PLACE', 'TENANT', 'CONNECTION', 'EVENT/COMMAND', 'CODE', 'SOURCE', 'BYTES', 'MESSAGE'];
  const rows = letters.map((letter) =>
    [
      new Date(letter.atMs).toISOString(),
      placeText(letter),
      letter.tenantId ?? '-',
      letter.connectionId ?? '-',
      letter.eventName ?? letter.commandId ?? '-',
      letter.code ?? '-',
      letter.source === null ? '-' : placeText(letter.source),
      String(letter.bodyBytes),
      letter.message ?? '-',
    ].map(printable),
  );
  return alignColumns([head, ...rows]).join('\n');
}

function asJson(letter: DeadLetter): Readonly<Record<string, unknown>> {
  return {
    time: new Date(letter.atMs).toISOString(),
    place: placeText(letter),
    tenant: letter.tenantId,
    connection: letter.connectionId,
    event_name: letter.eventName,
    command_id: letter.commandId,
    error_code: letter.code,
    error_message: letter.message,
    source_topic: letter.sourceTopic,
    source: letter.source === null ? null : placeText(letter.source),
    body_bytes: letter.bodyBytes,
  };
}

function describe(letter: DeadLetter): string {
  const { tenantId, connectionId, eventName, commandId, code, bodyBytes } = letter;
  const words = [tenantId, connectionId, eventName ?? commandId, code].map((word) => printable(word ?? '-'));
  return `${placeText(letter)}  ${words.join(' ')}  ${bodyBytes} bytes`;
}
