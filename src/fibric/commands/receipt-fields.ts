/** The fields of a receipt, in Avro order. Only ever append, with a nullable type. */
import { type Field, field, flag, list, long, nullable, record, text, type ValuesOf } from '../events/define.ts';

const verdict = record('Verdict', 'What policy, ledger or the checks said.', [
  field('decision', text, 'ALLOW, ALERT, BLOCK or DEDUP.'),
  field('rule', nullable(text), 'The rule that decided; null when none matched, which blocks.'),
  field('tier', nullable(long), 'Trust tier of the capability, 0 to 3; null where nobody set one.'),
] as const);

const policy = record('PolicyVersion', 'The policy that decided, as it was then.', [
  field('name', text, 'Name of the policy.'),
  field('version', long, 'Its version, from 1.'),
] as const);

const problem = record('Problem', 'One thing wrong with a command.', [
  field('field', text, 'Where: mode, args.body, ….'),
  field('code', text, 'What, as a code.'),
  field('message', text, 'What, in words; without the value.'),
] as const);

const failure = record('ReceiptError', 'Why it was refused or failed.', [
  field('code', text, 'One of the error codes.'),
  field('message', text, "What happened, Kustomer's own words among it."),
  field('next_step', text, 'What can be done about it.'),
  field('problems', list(problem), 'Everything wrong with an invalid command; empty otherwise.'),
] as const);

const vendorObject = record('VendorObject', 'What was written at Kustomer.', [
  field('type', text, 'note, conversation or message.'),
  field('id', nullable(text), "Kustomer's id; null where its answer did not tell."),
] as const);

const timings = record('Timings', 'When it went where, RFC 3339.', [
  field('requested_at', nullable(text), 'When the producer asked, as it says.'),
  field('received_at', text, 'When the command was appended to its topic.'),
  field('started_at', nullable(text), 'When its lane let it begin; null when it never did.'),
  field('first_sent_at', nullable(text), 'When the first call left; null when none did.'),
  field('last_sent_at', nullable(text), 'When the last call left.'),
  field('disposed_at', text, 'When the outcome stood.'),
] as const);

export const RECEIPT_FIELDS = [
  field('receipt_id', text, 'The same for the same command record, however often it is processed.'),
  field('command_id', text, 'The command.'),
  field('command_position', text, 'Partition and offset of its record, 3:1042.'),
  field('reseller_id', nullable(text), 'Null for a tenant without reseller, and where the connection is unknown.'),
  field('tenant_id', text, 'Whose command it is.'),
  field('workspace_id', nullable(text), 'Organisational partition only.'),
  field('connector', text, 'cn-kustomer'),
  field('connection', text, 'The connection as the command named it.'),
  field('connection_id', nullable(text), 'Its id; null where the tenant has no such connection.'),
  field('capability', nullable(text), 'What was to be done; null where the command did not say anything known.'),
  field('entity_key', nullable(text), 'What it touches.'),
  field('idempotency_key', nullable(text), 'The one logical side effect.'),
  field(
    'fingerprint',
    nullable(text),
    'SHA-256 of capability and arguments; the arguments themselves are in no receipt.',
  ),
  field('operator', nullable(text), 'Who asked.'),
  field('agent_id', nullable(text), "Id of the operator's agent."),
  field('plan_id', nullable(text), 'Plan the action belongs to.'),
  field('action_id', nullable(text), 'The action in that plan.'),
  field('event_id', nullable(text), 'Envelope that caused it.'),
  field('correlation_id', nullable(text), 'Threads envelope, plan, action and receipt.'),
  field('mode', text, 'dry_run or live.'),
  field('verdict', verdict, 'What policy, ledger or the checks said.'),
  field('policy', nullable(policy), 'The policy that decided; null when none applied.'),
  field('approver', nullable(text), 'Who approved; null when nobody had to.'),
  field('outcome', text, 'applied, refused, deduplicated, failed or dry_run.'),
  field('unchanged', flag, 'True when Kustomer already was as asked for, and nothing was sent.'),
  field('first_receipt_id', nullable(text), 'With DEDUP: the receipt of the command that took effect.'),
  field('attempts', long, 'Calls that may have changed something: each time the write itself left.'),
  field('reconciled', flag, 'True when an answer was lost and reading back told the outcome.'),
  field('external_id', nullable(text), 'By which the write is known again at Kustomer.'),
  field('vendor', nullable(vendorObject), 'What was written; null when nothing was.'),
  field('timings', timings, 'When it went where.'),
  field('error', nullable(failure), 'Null unless refused or failed.'),
] as const satisfies readonly Field[];

/** As it is on the wire. */
export type WireReceipt = ValuesOf<typeof RECEIPT_FIELDS>;
