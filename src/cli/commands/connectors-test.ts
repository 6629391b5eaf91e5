/** `fibric connectors test`: one tool as a dry run or live, or the whole contract of a connection. */
import type { Command } from 'commander';
import type { Check, Connector, PolicyRef, Receipt, Verdict } from '../api-types.ts';
import { showChecks } from '../checks.ts';
import { type Call, type Cli, leaf, option } from '../command.ts';
import { connectionFor } from '../connection-ref.ts';
import { type Problem, problemText, usageError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { parseJsonObject } from '../json-arg.ts';
import { exitCodeOfReceipt, policyText, receiptId, showReceiptAdvice } from '../receipt-text.ts';
import { styleOf } from '../terminal/style.ts';
import type { Cell } from '../terminal/table.ts';

interface TestOptions {
  readonly connection?: string;
  readonly args?: string;
  readonly operator?: string;
  readonly key?: string;
  readonly live?: boolean;
  readonly contract?: boolean;
}

interface ToolTest {
  readonly tool: string;
  readonly capability?: string;
  readonly mode?: string;
  readonly verdict?: Verdict | null;
  readonly outcome?: string | null;
  readonly policy?: PolicyRef | null;
  readonly receipt?: Receipt | null;
  readonly problems?: readonly Problem[];
}

interface ContractReport {
  readonly ok: boolean;
  readonly checks?: readonly Check[];
}

/** Kustomer may ask us to wait, and several checks ask it something. */
const PATIENCE_MS = 60_000;

export function addConnectorsTest(connectors: Command, cli: Cli): void {
  leaf<TestOptions>(cli, connectors, {
    usage: 'test <connector> [tool]',
    about:
      'try a tool (a dry run unless --live), or check the contract of a connection; <connector> may be a role too.',
    options: [
      option('--connection <name>', 'which one, where there are several'),
      option('--args <json>', 'what the tool is given'),
      option('--operator <name>', 'as whom: what is granted to that operator counts'),
      option('--key <key>', 'idempotency key of a live test: the same key takes effect once'),
      option('--live', 'carry it out'),
      option('--contract', 'check webhooks, signature, polling, permissions and budget'),
    ],
    examples: [
      'fibric connectors test cn-kustomer note.write --connection kustomer-prod --args \'{"conversation_id":"cnv_63k1","body":"connectivity check"}\'',
      'fibric connectors test cn-kustomer --contract',
      'fibric connectors test support',
    ],
    run: (call, options, what, tool) =>
      tool === undefined ? testContract(call, options, what as string) : testTool(call, options, what as string, tool),
  });
}

async function testTool(call: Call, options: TestOptions, what: string, tool: string): Promise<ExitCode> {
  if (options.contract === true) throw usageError('--contract checks the whole connection: leave the tool out');
  const args = parseJsonObject('--args', options.args ?? '{}');
  const client = await call.api();
  const { id, name } = await connectionFor(client, what, options.connection);
  const test = await client.call<ToolTest>('POST', `/connectors/${encodeURIComponent(id)}/test`, {
    body: {
      tool,
      args,
      mode: options.live === true ? 'live' : 'dry_run',
      ...(options.operator !== undefined && { operator: options.operator }),
      ...(options.key !== undefined && { idempotency_key: options.key }),
    },
    timeoutMs: Math.max(call.session.timeoutMs, PATIENCE_MS),
  });
  const receipt = receiptOf(test);
  call.out.result(test, () => showTest(call, test, receipt, name, options.live === true));
  if (isInvalid(test)) return EXIT.usage;
  return exitCodeOfReceipt(receipt);
}

/** Tests that never reached the executor have no receipt; what they say stands in the same fields. */
function receiptOf({ verdict, outcome, policy, receipt, mode }: ToolTest): Receipt {
  return {
    ...(receipt ?? {}),
    ...(verdict != null && { verdict }),
    ...(outcome != null && { outcome }),
    ...(mode !== undefined && { mode }),
    policy: policy ?? receipt?.policy ?? null,
  };
}

function isInvalid({ problems, receipt }: ToolTest): boolean {
  return (problems?.length ?? 0) > 0 || receipt?.error?.code === 'command_invalid';
}

function showTest({ out }: Call, test: ToolTest, receipt: Receipt, connection: string, live: boolean): void {
  const capability = test.capability === undefined ? '' : ` (${test.capability})`;
  const verb = live ? 'Live test' : 'Dry run';
  out.line(`${verb} of ${test.tool}${capability} on ${connection}${live ? '' : ': nothing was sent'}`);
  const problems = test.problems ?? [];
  const isBad = isInvalid(test);
  const decision = receipt.verdict?.decision;
  const fields: (readonly [string, Cell])[] = [
    ['validation', { text: isBad ? 'FAIL' : 'ok', style: styleOf(isBad ? 'FAIL' : 'ok') }],
    ['verdict', { text: decision ?? '-', style: styleOf(decision) }],
    ['rule', receipt.verdict?.rule ?? '(no rule matched)'],
    ['policy', policyText(receipt)],
    ['outcome', { text: receipt.outcome ?? '-', style: styleOf(receipt.outcome) }],
    ['receipt', test.receipt == null ? '(none)' : receiptId(test.receipt)],
    ...(receipt.idempotency_key ? [['key', receipt.idempotency_key] as const] : []),
    ...(receipt.vendor ? [['wrote', `${receipt.vendor.type} ${receipt.vendor.id ?? '(id not told)'}`] as const] : []),
    ...(receipt.error ? [['error', `${receipt.error.code}: ${receipt.error.message}`] as const] : []),
  ];
  out.fields(fields);
  for (const problem of problems) out.line(`  ${problemText(problem)}`);
  showReceiptAdvice(out, receipt);
  if (!live && !isBad && decision === 'ALLOW') {
    out.line();
    out.line('Add --live to carry it out.');
  }
}

async function testContract(call: Call, options: TestOptions, what: string): Promise<ExitCode> {
  if (options.live === true || options.args !== undefined) {
    throw usageError(
      '--live and --args belong to a tool',
      'name the tool: fibric connectors test cn-kustomer note.write …',
    );
  }
  const client = await call.api();
  const connection: Connector = await connectionFor(client, what, options.connection);
  call.out.note(`checking ${connection.name} …`);
  const report = await client.call<ContractReport>(
    'POST',
    `/connectors/${encodeURIComponent(connection.id)}/contract`,
    {
      timeoutMs: Math.max(call.session.timeoutMs, PATIENCE_MS),
    },
  );
  call.out.result(report, () => {
    const word = report.ok ? 'ok' : 'FAIL';
    call.out.line(`Contract of ${connection.name} (${connection.id}): ${call.out.paint(styleOf(word), word)}`);
    showChecks(call.out, report.checks ?? []);
  });
  return report.ok ? EXIT.ok : EXIT.notFound;
}
