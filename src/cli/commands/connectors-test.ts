/** `fibric connectors test`: one tool as a dry run or live, or the whole contract of a connection. */
import type { Command } from 'commander';
import { actionKey } from '../action-key.ts';
import type { Check, PolicyRef, Receipt, Verdict } from '../api-types.ts';
import { showChecks } from '../checks.ts';
import { type Call, type Cli, leaf, option } from '../command.ts';
import { connectionFor } from '../connection-ref.ts';
import { type Problem, problemText, usageError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { parseJsonObject } from '../json-arg.ts';
import { type Unsettled, unsettled } from '../pending.ts';
import { exitCodeOfReceipt, policyText, receiptId, ruleText, showReceiptAdvice } from '../receipt-text.ts';
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
  readonly operator?: string;
  readonly command_id?: string | null;
  /** Null where the arguments are wrong: then no policy was asked. */
  readonly verdict?: Verdict | null;
  /** Of a receipt, or `invalid`, or `pending`. */
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
const PATIENCE_MS = 70_000;

export function addConnectorsTest(connectors: Command, cli: Cli): void {
  leaf<TestOptions>(cli, connectors, {
    usage: 'test <connector> [tool]',
    about:
      'try a tool (a dry run unless --live), or check the contract of a connection; <connector> may be a role too.',
    options: [
      option('--connection <name>', 'which one, where there are several'),
      option('--args <json>', 'what the tool is given'),
      option('--operator <name>', 'as whom: its grants count (default: connector-test, which needs none)'),
      option('--key <key>', 'idempotency key of a live test (default: made of tool and arguments)'),
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
  const live = options.live === true;
  const client = await call.api();
  const { id, name } = await connectionFor(client, what, options.connection);
  // The same test again is the same side effect: nobody wants a second note of a check.
  const key =
    options.key ?? actionKey({ connection: id, operator: options.operator ?? 'test', capability: tool, args });
  const test = await client.call<ToolTest>('POST', `/connectors/${encodeURIComponent(id)}/test`, {
    body: {
      tool,
      args,
      mode: live ? 'live' : 'dry_run',
      ...(options.operator !== undefined && { operator: options.operator }),
      ...(live && { idempotency_key: key }),
    },
    timeoutMs: Math.max(call.session.timeoutMs, PATIENCE_MS),
  });
  const receipt = receiptOf(test);
  const open = test.outcome === 'pending' ? await unsettled(client, key) : null;
  call.out.result(test, () => showTest(call, { test, receipt, open, connection: name, live }));
  if (open !== null) return open.exitCode;
  return isInvalid(test) ? EXIT.usage : exitCodeOfReceipt(receipt);
}

/** Tests that never reached the executor have no receipt; what they say stands in the same fields. */
function receiptOf({ verdict, outcome, policy, receipt, mode, capability, operator }: ToolTest): Receipt {
  return {
    ...(capability !== undefined && { capability }),
    ...(operator !== undefined && { operator }),
    ...(receipt ?? {}),
    ...(verdict != null && { verdict }),
    ...(outcome != null && { outcome }),
    ...(mode !== undefined && { mode }),
    policy: policy ?? receipt?.policy ?? null,
  };
}

function isInvalid({ outcome, problems, receipt }: ToolTest): boolean {
  return outcome === 'invalid' || (problems?.length ?? 0) > 0 || receipt?.error?.code === 'command_invalid';
}

interface Shown {
  readonly test: ToolTest;
  readonly receipt: Receipt;
  readonly open: Unsettled | null;
  readonly connection: string;
  readonly live: boolean;
}

function showTest({ out }: Call, { test, receipt, open, connection, live }: Shown): void {
  const capability = test.capability === undefined ? '' : ` (${test.capability})`;
  const as = test.operator === undefined ? '' : ` as ${test.operator}`;
  out.line(`${live ? 'Live test' : 'Dry run'} of ${test.tool}${capability} on ${connection}${as}`);
  const { verdict, vendor, error } = receipt;
  const word = isInvalid(test) ? 'FAIL' : 'ok';
  const decided: readonly (readonly [string, Cell])[] =
    verdict === undefined
      ? []
      : [
          ['verdict', { text: verdict.decision, style: styleOf(verdict.decision) }],
          ['rule', ruleText(receipt)],
          ['policy', policyText(receipt)],
          ...(verdict.reason ? [['reason', verdict.reason] as const] : []),
        ];
  out.fields([
    ['validation', { text: word, style: styleOf(word) }],
    ...decided,
    ['outcome', { text: outcomeText(test), style: styleOf(receipt.outcome) }],
    ...(test.receipt == null ? [] : [['receipt', receiptId(test.receipt)] as const]),
    ...(receipt.first_receipt_id ? [['first receipt', receipt.first_receipt_id] as const] : []),
    ...(receipt.idempotency_key ? [['key', receipt.idempotency_key] as const] : []),
    ...(vendor ? [['wrote', `${vendor.type} ${vendor.id ?? '(id not told)'}`] as const] : []),
    ...(error ? [['error', `${error.code}: ${error.message}`] as const] : []),
  ]);
  for (const problem of test.problems ?? []) out.line(`  ${problemText(problem)}`);
  if (open !== null) for (const line of open.lines) out.line(line);
  showReceiptAdvice(out, receipt);
  if (!live && word === 'ok' && verdict?.decision === 'ALLOW') {
    out.line();
    out.line('Add --live to carry it out.');
  }
}

function outcomeText({ outcome, mode }: ToolTest): string {
  return `${outcome ?? '-'}${mode === 'dry_run' ? ' (nothing was sent)' : ''}`;
}

async function testContract(call: Call, options: TestOptions, what: string): Promise<ExitCode> {
  if (options.live === true || options.args !== undefined) {
    throw usageError(
      '--live and --args belong to a tool',
      'name the tool: fibric connectors test cn-kustomer note.write …',
    );
  }
  const client = await call.api();
  const { id, name } = await connectionFor(client, what, options.connection);
  call.out.note(`checking ${name} …`);
  const report = await client.call<ContractReport>('POST', `/connectors/${encodeURIComponent(id)}/contract`, {
    body: {},
    timeoutMs: Math.max(call.session.timeoutMs, PATIENCE_MS),
  });
  call.out.result(report, () => {
    const word = report.ok ? 'ok' : 'FAIL';
    call.out.line(`Contract of ${name} (${id}): ${call.out.paint(styleOf(word), word)}`);
    showChecks(call.out, report.checks ?? []);
  });
  return report.ok ? EXIT.ok : EXIT.notFound;
}
