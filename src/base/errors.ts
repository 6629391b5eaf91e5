/**
 * Errors are values: a code and a disposition, from this one table. `docs/reference/errors.md` is generated from it.
 *
 * The disposition is the caller's next move:
 * - `retry`   the same thing again, after a backoff
 * - `wait`    the same thing again, once something outside has changed (a deadline bounds the wait)
 * - `park`    set this item aside with its cause and go on with the next
 * - `refuse`  say no to whoever asked; nothing was done
 * - `fatal`   stop this partition or process; going on would break a promise
 */
export type Disposition = 'retry' | 'wait' | 'park' | 'refuse' | 'fatal';

export const ERROR_TABLE = {
  // log
  log_unavailable: {
    disposition: 'retry',
    meaning: 'The broker did not answer or refused for a passing reason; nothing was committed.',
  },
  log_fatal: { disposition: 'fatal', meaning: 'The Kafka client stopped for good.' },
  codec_unsupported: {
    disposition: 'fatal',
    meaning: 'A record is compressed with snappy or lz4, which we do not read; set compression.type=zstd on the topic.',
  },
  group_active: {
    disposition: 'refuse',
    meaning: 'Offsets of a consumer group can only be moved while it has no running members; stop them first.',
  },
  fenced: {
    disposition: 'wait',
    meaning: 'Another owner has taken over this transactional.id; wait for the next assignment.',
  },
  commit_unknown: {
    disposition: 'retry',
    meaning: 'The outcome of a commit is unknown; fence, re-read the offset, restore.',
  },
  offset_beyond_end: {
    disposition: 'fatal',
    meaning:
      'The committed offset lies beyond the end of its partition: the log was cut or restored. Move the group back to the earliest offset (docs/runbook.md), then restart; what was processed is recognised.',
  },
  restore_timeout: {
    disposition: 'retry',
    meaning: 'The state partition was not read to its barrier in time; the session is reopened.',
  },
  topic_invalid: {
    disposition: 'refuse',
    meaning: 'A topic is missing, or differs from the table in a way that is not changed silently.',
  },
  state_full: {
    disposition: 'fatal',
    meaning: 'The state table reached its bound; raise STATE_MAX_BYTES or add partitions.',
  },
  state_value_too_large: {
    disposition: 'park',
    meaning: 'The state of one resource is larger than the state table can hold (65,535 bytes).',
  },
  queue_full: { disposition: 'wait', meaning: 'A bounded queue is full; try again after Retry-After.' },
  share_full: {
    disposition: 'wait',
    meaning:
      'One tenant holds its share of a bounded queue, the rest of which is for the others; try again after Retry-After.',
  },
  registry_unavailable: { disposition: 'wait', meaning: 'The schema registry does not answer.' },
  schema_incompatible: {
    disposition: 'fatal',
    meaning: 'The registry refused the schema: it would break readers of earlier versions.',
  },
  schema_unknown: {
    disposition: 'wait',
    meaning: 'The registry has no such schema or id; run the step that registers the schemas.',
  },
  message_undecodable: {
    disposition: 'park',
    meaning: 'The bytes are not a record in Confluent wire format of a schema this reader can read.',
  },
  // ingest
  signature_missing: { disposition: 'refuse', meaning: 'The webhook carries no X-Kustomer-Webhook-Signature.' },
  signature_invalid: {
    disposition: 'refuse',
    meaning: 'The signature matches none of the live tokens of the connection.',
  },
  connection_unknown: { disposition: 'refuse', meaning: 'No connection has this id.' },
  org_mismatch: { disposition: 'refuse', meaning: 'The body names another Kustomer organisation than the connection.' },
  body_too_large: { disposition: 'refuse', meaning: 'The body exceeds the limit.' },
  body_empty: { disposition: 'refuse', meaning: 'The request has no body.' },
  media_type_unsupported: { disposition: 'refuse', meaning: 'The content type is not JSON.' },
  shutting_down: { disposition: 'wait', meaning: 'The service is stopping; send it again.' },
  route_unknown: { disposition: 'refuse', meaning: 'Nothing is served at this path.' },
  method_not_allowed: { disposition: 'refuse', meaning: 'The path does not take this method; see Allow.' },
  request_malformed: { disposition: 'refuse', meaning: 'What arrived is not a well-formed HTTP request.' },
  // processing
  body_malformed: { disposition: 'park', meaning: 'The stored body is not a JSON object.' },
  event_invalid: {
    disposition: 'park',
    meaning: 'The JSON is not a Kustomer event: its name, data.type or data.id is missing or of the wrong type.',
  },
  record_unattributed: { disposition: 'park', meaning: 'The raw record lacks its tenant or connection header.' },
  envelope_unencodable: { disposition: 'park', meaning: 'The envelope does not fit its Avro schema.' },
  dead_letter_limit: {
    disposition: 'fatal',
    meaning:
      'Too many records in a row could not be processed; the partition stops so that a bad deploy does not swallow the topic.',
  },
  dead_letter_unknown: {
    disposition: 'refuse',
    meaning: 'No dead letter of the raw topic stands at this place, or it is no longer kept.',
  },
  // kustomer
  kustomer_not_sent: {
    disposition: 'retry',
    meaning:
      'No byte of the request reached Kustomer (no connection, or the caller gave up first); sending it is safe.',
  },
  kustomer_unanswered: {
    disposition: 'retry',
    meaning: 'A read got no usable answer: a reset, a timeout, a 5xx, or a body that is cut, too large or no JSON.',
  },
  kustomer_ambiguous: {
    disposition: 'park',
    meaning:
      'A write left and its answer is missing, a 5xx or unreadable: it may have happened. Read back before anything is sent again.',
  },
  kustomer_rate_limited: { disposition: 'wait', meaning: 'Kustomer answered 429; nothing was done. See retryAtMs.' },
  kustomer_refused: {
    disposition: 'refuse',
    meaning: 'Kustomer does not take the request (400, 404, 413, 422, …); sending it again changes nothing.',
  },
  kustomer_permission: {
    disposition: 'refuse',
    meaning:
      'The API key lacks the role the message names (403). Outside of receipts also a key that is bad or expired (401).',
  },
  kustomer_unauthorized: {
    disposition: 'refuse',
    meaning: 'Kustomer does not know the API key of a write (401): it is wrong, truncated, expired or revoked.',
  },
  kustomer_misconfigured: {
    disposition: 'refuse',
    meaning: 'The request went to the wrong place: another pod or region, a redirect, a link to another host.',
  },
  kustomer_conflict: {
    disposition: 'refuse',
    meaning: 'The object has changed since it was read (409); read it again and decide anew.',
  },
  budget_exhausted: {
    disposition: 'wait',
    meaning:
      'The rate budget of the organisation had no room in time, or too many calls wait for it; nothing was sent.',
  },
  // polling
  poll_out_of_order: {
    disposition: 'retry',
    meaning:
      'A page of a search is not sorted by time, or has rows outside its bounds; the cursor stays and the window is read again.',
  },
  poll_rows_unread: {
    disposition: 'park',
    meaning:
      'More rows share one time (and one creation) than a search can page through; so many could not be read. The poll goes on behind them.',
  },
  poll_row_unreadable: {
    disposition: 'park',
    meaning: 'An entry of a search has no type or id and was left out, or no time; then it was published all the same.',
  },
  poll_clock_skew: {
    disposition: 'wait',
    meaning: 'Rows are of a time well ahead of the answer they came with; the cursor waits for that time.',
  },
  cursor_unreadable: {
    disposition: 'park',
    meaning:
      'A cursor was written by a newer version or damaged; its stream stands still rather than read everything again.',
  },
  // acting
  command_invalid: { disposition: 'refuse', meaning: 'The command does not validate; its receipt says where.' },
  idempotency_conflict: {
    disposition: 'refuse',
    meaning: 'The idempotency key already stands for another action or other arguments; use another key.',
  },
  outcome_unknown: {
    disposition: 'park',
    meaning:
      'It could not be established whether the write happened; a person decides (applied, or not applied) before the key is used again.',
  },
  deadline_passed: { disposition: 'refuse', meaning: 'The deadline of the command passed before it could be sent.' },
  policy_blocked: {
    disposition: 'refuse',
    meaning: 'No rule of a policy allows the command, or a rule that the receipt names forbids it.',
  },
  operator_without_rule: {
    disposition: 'refuse',
    meaning: 'Rules allow the capability to other operators, and none to this one.',
  },
  grant_missing: { disposition: 'refuse', meaning: 'The operator was not granted the capability of the connection.' },
  capability_not_exposed: {
    disposition: 'refuse',
    meaning: 'The connection does not expose the capability: it has no API key.',
  },
  limit_reached: { disposition: 'refuse', meaning: 'The limit of a policy rule is used up for now.' },
  confirmation_pending: { disposition: 'refuse', meaning: 'A command with this key waits for its approval.' },
  confirmation_expired: { disposition: 'refuse', meaning: 'Nobody approved the command in time.' },
  confirmation_rejected: { disposition: 'refuse', meaning: 'A person refused to approve the command.' },
  attempts_exhausted: {
    disposition: 'refuse',
    meaning:
      'Kustomer did not take the write in as many attempts, or as long, as a command may have. It surely was not done.',
  },
  answer_malformed: {
    disposition: 'park',
    meaning: 'A record of the commands topic that says it is the answer of a person is none; nothing was done.',
  },
  answer_forged: {
    disposition: 'park',
    meaning: 'The answer of a person was not made with a key of this installation, or was changed; nothing was done.',
  },
  answer_foreign: {
    disposition: 'park',
    meaning: 'The answer of a person names a command of another tenant or lane; nothing was done.',
  },
  ledger_unreadable: {
    disposition: 'fatal',
    meaning:
      'An entry of the ledger was written by a newer version or damaged; its partition stands still rather than send twice.',
  },
  // policy
  policy_state_unreadable: {
    disposition: 'fatal',
    meaning:
      'A policy, a quota or an approval in the log was written by a newer version or damaged. Going on without it could allow what it forbids.',
  },
  target_not_found: {
    disposition: 'refuse',
    meaning: 'Kustomer has no such conversation, message or customer, or the API key may not see it (404).',
  },
  target_locked: { disposition: 'refuse', meaning: 'Kustomer refuses the write because the object is locked.' },
  write_too_large: { disposition: 'refuse', meaning: 'Kustomer takes no request of this size (413).' },
  conversation_merged: {
    disposition: 'refuse',
    meaning: 'The conversation was merged into another, which the message names; write to that one.',
  },
  assignment_full: {
    disposition: 'refuse',
    meaning: 'The conversation would have more users or teams than Kustomer takes; remove some first.',
  },
  customer_not_found: { disposition: 'refuse', meaning: 'No customer has the phone number of the call.' },
  customer_ambiguous: {
    disposition: 'refuse',
    meaning: 'Several customers have the phone number of the call; name one with customer_id.',
  },
  call_foreign: {
    disposition: 'refuse',
    meaning: 'The message with the id of the call was not written by us, or there are several; it is left alone.',
  },
  // configuration and secrets
  config_invalid: { disposition: 'refuse', meaning: 'One or more settings are missing or wrong.' },
  connection_conflict: {
    disposition: 'refuse',
    meaning:
      'The connection cannot be changed like this: its id or name is taken, or it would have too many live tokens.',
  },
  connection_busy: {
    disposition: 'wait',
    meaning: "Another process is changing the tenant's connections; try again when it is done, or its claim has ended.",
  },
  document_unreadable: {
    disposition: 'refuse',
    meaning:
      'A control document (policy, grant, tenant, token) was written by a newer version or damaged. What depends on it stays closed; remove the document, or upgrade.',
  },
  document_too_large: { disposition: 'refuse', meaning: 'A control document would not fit into one record.' },
  document_conflict: {
    disposition: 'retry',
    meaning: 'Other processes changed control documents again and again; nothing was written.',
  },
  secret_unreadable: { disposition: 'fatal', meaning: 'A sealed secret cannot be opened with the master key in use.' },
  // verify
  manifest_invalid: { disposition: 'refuse', meaning: 'The manifest of a flood is missing or not in its format.' },
  reader_unavailable: {
    disposition: 'refuse',
    meaning: 'The client asked for to read the envelopes (kcat, Java) is not installed here.',
  },
  reader_failed: { disposition: 'fatal', meaning: 'The client that reads the envelopes stopped or said nonsense.' },
  demo_failed: { disposition: 'fatal', meaning: 'A process of the demo did not start.' },
} as const satisfies Record<string, { disposition: Disposition; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** The one error class of the house. `detail` goes to logs and answers: never put a secret into it. */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code: ErrorCode;
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;

  constructor(code: ErrorCode, message: string, detail: CodedError['detail'] = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.detail = detail;
  }

  get disposition(): Disposition {
    return ERROR_TABLE[this.code].disposition;
  }
}

/** True for a CodedError of one of these codes. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is CodedError {
  return error instanceof CodedError && codes.includes(error.code);
}
