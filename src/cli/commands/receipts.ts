/** `fibric receipts …`: what became of every action, and what a person has to settle. */
import type { Command } from 'commander';
import { ANSWER_MS, type Answered, exitCodeOfAnswer, showAnswered } from '../answered.ts';
import type { Approval, Receipt } from '../api-types.ts';
import { type Call, type Cli, group, leaf, option, required } from '../command.ts';
import { usageError } from '../errors.ts';
import type { ExitCode } from '../exit.ts';
import type { Query } from '../http/client.ts';
import { fetchList, noteMore, type PageOptions, pageOptions } from '../pages.ts';
import { receiptFields, receiptId, showReceiptAdvice } from '../receipt-text.ts';
import { runTail, type TailOptions, tailOptions } from '../tail.ts';
import { styleOf } from '../terminal/style.ts';
import { clockTime, parseSince, showTime } from '../times.ts';

interface Filters {
  readonly verdict?: string;
  readonly outcome?: string;
  readonly capability?: string;
  readonly operator?: string;
  readonly connection?: string;
  readonly entity?: string;
  readonly key?: string;
}

const filterOptions = () => [
  option('--verdict <verdict>', 'ALLOW, ALERT, BLOCK or DEDUP'),
  option('--outcome <outcome>', 'applied, refused, deduplicated, failed or dry_run'),
  option('--capability <capability>', 'of this capability'),
  option('--operator <name>', 'of this operator'),
  option('--connection <name>', 'through this connection'),
];

const filterQuery = ({ entity, key, verdict, ...rest }: Filters): Query => ({
  ...rest,
  verdict: verdict?.toUpperCase(),
  entity_key: entity,
  idempotency_key: key,
});

export function addReceipts(program: Command, cli: Cli): void {
  const receipts = group(program, 'receipts', 'what became of every action.');
  leaf<Filters & PageOptions & { since?: string }>(cli, receipts, {
    usage: 'ls',
    about: 'receipts, the newest first.',
    options: [
      ...filterOptions(),
      option('--entity <key>', 'of this entity, such as conversation:63k1'),
      option('--key <key>', 'with this idempotency key'),
      option('--since <time>', 'not older than this (1h, a date, an instant)'),
      ...pageOptions(),
    ],
    examples: [
      'fibric receipts ls --limit 5',
      'fibric receipts ls --verdict BLOCK --since 1d',
      'fibric receipts ls --json',
    ],
    run: list,
  });
  leaf<Filters & TailOptions>(cli, receipts, {
    usage: 'tail',
    about: 'show receipts as they are written, until Ctrl-C.',
    options: [...filterOptions(), ...tailOptions()],
    examples: ['fibric receipts tail', 'fibric receipts tail --operator triage-analyst --json'],
    run: (call, options) => {
      const { since, cursor, max, follow, ...filters } = options;
      const rest: TailOptions = {
        ...(since !== undefined && { since }),
        ...(cursor !== undefined && { cursor }),
        ...(max !== undefined && { max }),
        ...(follow !== undefined && { follow }),
      };
      return runTail(call, '/receipts/stream', filterQuery(onlyFilters(filters)), rest, (value) =>
        call.out.line(receiptLine(value as Receipt, call.context.clock.nowMs())),
      );
    },
  });
  leaf(cli, receipts, {
    usage: 'show <id>',
    about: 'one receipt: the verdict, the rule and policy version that decided, and what came of it.',
    examples: ['fibric receipts show rc_5b21', 'fibric receipts show rc_5b21 --json'],
    run: async ({ api, out }, _options, id) => {
      const one = await (await api()).get<Receipt>(`/receipts/${encodeURIComponent(id as string)}`);
      out.result(one, () => {
        out.fields(receiptFields(one));
        showReceiptAdvice(out, one);
      });
    },
  });
  leaf<PageOptions>(cli, receipts, {
    usage: 'parked',
    about: 'actions of which nobody knows whether they happened: look at Kustomer, then `receipts resolve`.',
    options: pageOptions(),
    examples: ['fibric receipts parked'],
    run: parked,
  });
  leaf<ResolveOptions>(cli, receipts, {
    usage: 'resolve <id>',
    about: 'say whether a parked action happened, after a look at Kustomer.',
    options: [
      required('--outcome <outcome>', 'applied or not_applied'),
      option('--vendor-id <id>', 'with applied: the id of what was written'),
      option('--resend', 'with not_applied: send it again now'),
      option('--note <text>', 'why, for the record'),
    ],
    examples: [
      'fibric receipts resolve rc_5b21 --outcome applied --vendor-id 65f1c0de',
      'fibric receipts resolve rc_5b21 --outcome not_applied --resend',
    ],
    run: resolve,
  });
}

interface ResolveOptions {
  readonly outcome: string;
  readonly vendorId?: string;
  readonly resend?: boolean;
  readonly note?: string;
}

/** Without what every command has. */
function onlyFilters({ verdict, outcome, capability, operator, connection }: Filters): Filters {
  return {
    ...(verdict !== undefined && { verdict }),
    ...(outcome !== undefined && { outcome }),
    ...(capability !== undefined && { capability }),
    ...(operator !== undefined && { operator }),
    ...(connection !== undefined && { connection }),
  };
}

async function list(call: Call, options: Filters & PageOptions & { since?: string }): Promise<void> {
  const { api, out, context } = call;
  const { entity, key, since } = options;
  const query: Query = {
    ...filterQuery({
      ...onlyFilters(options),
      ...(entity !== undefined && { entity }),
      ...(key !== undefined && { key }),
    }),
    since: since === undefined ? undefined : parseSince('--since', since, context.clock.nowMs()),
  };
  const all = await fetchList<Receipt>(await api(), '/receipts', query, options);
  out.result(all, () => {
    if (all.data.length === 0) return out.line('No receipts.');
    out.table(
      [
        { title: 'AT' },
        { title: 'RECEIPT' },
        { title: 'VERDICT' },
        { title: 'OUTCOME' },
        { title: 'CAPABILITY' },
        { title: 'OPERATOR', shrinks: true },
        { title: 'ENTITY', shrinks: true },
      ],
      all.data.map((one) => [
        showTime(one.timings?.['disposed_at']),
        receiptId(one),
        { text: one.verdict?.decision ?? '-', style: styleOf(one.verdict?.decision) },
        { text: one.outcome ?? '-', style: styleOf(one.outcome) },
        one.capability ?? '-',
        one.operator ?? '-',
        one.entity_key ?? '-',
      ]),
    );
    noteMore(all, out);
  });
}

/** `[12:00:00] dispose note.write ALLOW applied key=…` */
function receiptLine(receipt: Receipt, nowMs: number): string {
  const at = Date.parse(receipt.timings?.['disposed_at'] ?? '');
  return [
    clockTime(Number.isNaN(at) ? nowMs : at),
    'dispose',
    receipt.capability ?? '-',
    receipt.verdict?.decision ?? '-',
    receipt.outcome ?? '-',
    `key=${receipt.idempotency_key ?? '-'}`,
    `operator=${receipt.operator ?? '-'}`,
    `receipt=${receiptId(receipt)}`,
    ...(receipt.error == null ? [] : [`error=${receipt.error.code}`]),
  ].join(' ');
}

async function parked({ api, out }: Call, page: PageOptions): Promise<void> {
  const all = await fetchList<Approval & { receipt_id?: string }>(await api(), '/parked', {}, page);
  out.result(all, () => {
    if (all.data.length === 0) return out.line('Nothing is parked: every outcome is known.');
    out.table(
      [
        { title: 'ID' },
        { title: 'SINCE' },
        { title: 'CAPABILITY' },
        { title: 'ENTITY' },
        { title: 'KEY', shrinks: true },
      ],
      all.data.map((one) => [
        one.receipt_id ?? one.id,
        showTime(one.held_at),
        one.capability ?? '-',
        one.entity_key ?? '-',
        one.idempotency_key ?? '-',
      ]),
    );
    noteMore(all, out);
  });
}

async function resolve({ api, out, session }: Call, options: ResolveOptions, id?: string): Promise<ExitCode> {
  const { outcome, vendorId, resend, note } = options;
  if (outcome !== 'applied' && outcome !== 'not_applied') throw usageError('--outcome is applied or not_applied');
  if (outcome === 'applied' && resend === true)
    throw usageError('--resend is for what did not happen: it would happen twice');
  if (outcome === 'not_applied' && vendorId !== undefined) throw usageError('--vendor-id is for what did happen');
  const client = await api();
  const answer = await client.call<Answered>('POST', `/receipts/${encodeURIComponent(id as string)}/resolve`, {
    body: {
      outcome,
      ...(vendorId !== undefined && { vendor_id: vendorId }),
      ...(resend !== undefined && { resend }),
      ...(note !== undefined && { note }),
    },
    timeoutMs: Math.max(session.timeoutMs, ANSWER_MS),
  });
  out.result(answer, () => showAnswered(out, id as string, answer));
  return exitCodeOfAnswer(answer, outcome);
}
