/**
 * Every metric of the service; `docs/reference/metrics.md` is generated from it. Labels are of low cardinality: never an id,
 * except that of a connection for the state it is in.
 */
type MetricKind = 'counter' | 'gauge' | 'histogram';
export interface MetricRow {
  readonly kind: MetricKind;
  readonly help: string;
  readonly labels: readonly string[];
  /** How the threads of a process add up; a sum unless all of them say the same. */
  readonly across?: 'max';
}

export const METRICS = {
  cnk_webhooks_accepted_total: {
    kind: 'counter',
    help: 'Webhooks acknowledged by the log and answered 2xx.',
    labels: [],
  },
  cnk_webhooks_accepted_bytes_total: { kind: 'counter', help: 'Body bytes of accepted webhooks.', labels: [] },
  cnk_webhooks_refused_total: { kind: 'counter', help: 'Webhooks not accepted, by error code.', labels: ['code'] },
  cnk_webhooks_events_total: {
    kind: 'counter',
    help: 'Accepted webhooks by event name, of those the vendor documents.',
    labels: ['event_name'],
  },
  cnk_webhooks_unknown_event_total: {
    kind: 'counter',
    help: 'Accepted webhooks under any other event name.',
    labels: [],
  },
  cnk_webhooks_malformed_total: {
    kind: 'counter',
    help: 'Accepted webhooks that are not a JSON object; they will be dead-lettered.',
    labels: [],
  },
  cnk_webhooks_abandoned_total: {
    kind: 'counter',
    help: 'Webhooks whose sender left before the body was complete.',
    labels: [],
  },
  cnk_ingest_held_records: { kind: 'gauge', help: 'Webhooks waiting for the broker.', labels: [] },
  cnk_ingest_held_bytes: { kind: 'gauge', help: 'Bytes waiting for the broker.', labels: [] },
  cnk_process_records_total: { kind: 'counter', help: 'Raw records processed.', labels: [] },
  cnk_process_records_lost_total: {
    kind: 'counter',
    help: 'Raw offsets that retention took before they were processed.',
    labels: [],
  },
  cnk_process_verdicts_total: {
    kind: 'counter',
    help: "Raw records by verdict: emitted, duplicate, reprocessed, nothing, deferred (sent for the customer's orders).",
    labels: ['verdict'],
  },
  cnk_process_envelopes_total: { kind: 'counter', help: 'Envelopes by event type.', labels: ['event_type'] },
  cnk_process_late_total: { kind: 'counter', help: 'Envelopes flagged late.', labels: [] },
  cnk_process_collapsed_total: {
    kind: 'counter',
    help: 'Changes dropped because the other path, webhook or poll, had brought them.',
    labels: [],
  },
  cnk_process_dead_letters_total: { kind: 'counter', help: 'Dead letters by error code.', labels: ['code'] },
  cnk_process_transactions_total: { kind: 'counter', help: 'Transactions committed.', labels: [] },
  cnk_process_transaction_seconds: { kind: 'histogram', help: 'Decide and commit of one transaction.', labels: [] },
  cnk_process_failures_total: {
    kind: 'counter',
    help: 'Sessions ended by an error, by code and what follows.',
    labels: ['code', 'next'],
  },
  cnk_process_restore_seconds: { kind: 'histogram', help: 'Restore of one shard.', labels: [] },
  cnk_process_state_resources: {
    kind: 'gauge',
    help: 'Resources remembered by the shards of this process.',
    labels: [],
  },
  cnk_process_state_bytes: { kind: 'gauge', help: 'Bytes held by the state of this process.', labels: [] },
  cnk_process_shards: { kind: 'gauge', help: 'Shards of this process by phase.', labels: ['phase'] },
  cnk_process_lag_records: {
    kind: 'gauge',
    help: 'Raw records not yet processed by the shards of this process, when last asked; a single one may be a marker and is not counted.',
    labels: [],
  },
  cnk_process_stalls_total: {
    kind: 'counter',
    help: 'Times a partition stood still although there was something to read; it is positioned again.',
    labels: [],
  },
  cnk_enrich_customers_total: {
    kind: 'counter',
    help: 'Customer bodies sent on with, or without, their orders: complete, truncated, forbidden, unavailable, skipped.',
    labels: ['state'],
  },
  cnk_enrich_reads_total: {
    kind: 'counter',
    help: "Readings of a customer's orders, ok or by kind of failure.",
    labels: ['outcome'],
  },
  cnk_enrich_read_seconds: { kind: 'histogram', help: 'One reading, the wait for the budget included.', labels: [] },
  cnk_enrich_wait_seconds: {
    kind: 'histogram',
    help: 'Longest that a customer of a batch was under way to its orders and back.',
    labels: [],
  },
  cnk_enrich_refused_connections: {
    kind: 'gauge',
    help: 'Connections whose orders cannot be read: their key may not, or their klass does not exist.',
    labels: [],
  },
  cnk_enrich_failures_total: {
    kind: 'counter',
    help: 'Sessions ended by an error, by code and what follows.',
    labels: ['code', 'next'],
  },
  cnk_budget_granted_total: { kind: 'counter', help: 'Calls to Kustomer let through, by lane.', labels: ['lane'] },
  cnk_budget_refused_total: {
    kind: 'counter',
    help: 'Calls not let through: the queue was full or the wait too long. Nothing was sent.',
    labels: ['lane'],
  },
  cnk_budget_wait_seconds: { kind: 'histogram', help: 'Wait for the rate budget, by lane.', labels: ['lane'] },
  cnk_budget_waiting: { kind: 'gauge', help: 'Calls waiting for the rate budget, by lane.', labels: ['lane'] },
  cnk_budget_limited_total: { kind: 'counter', help: 'Answers 429 of Kustomer.', labels: [] },
  cnk_budget_paused: { kind: 'gauge', help: 'Organisations that wait after a 429.', labels: [] },
  cnk_budget_in_hand: { kind: 'gauge', help: 'Calls this process may start without asking its lender.', labels: [] },
  cnk_budget_answer_seconds: { kind: 'histogram', help: 'From an ask to the answer of the lender.', labels: [] },
  cnk_budget_unanswered_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest ask that no lender has answered; 0 when none is out.',
    labels: [],
  },
  cnk_budget_unmet_total: {
    kind: 'counter',
    help: 'Asks the lender in this process could not meet in full, by lane and what stood against it.',
    labels: ['lane', 'reason'],
  },
  cnk_budget_lend_seconds: { kind: 'histogram', help: 'Decide and commit of one transaction of leases.', labels: [] },
  cnk_budget_lender_failures_total: {
    kind: 'counter',
    help: 'Lending sessions ended by an error, by code and what follows.',
    labels: ['code', 'next'],
  },
  cnk_poll_searches_total: {
    kind: 'counter',
    help: 'Searches of the poll and the backfill by how they ended: ok, or the kind of failure.',
    labels: ['stream', 'channel', 'outcome'],
  },
  cnk_poll_rows_total: { kind: 'counter', help: 'Rows read by searches.', labels: ['stream', 'channel'] },
  cnk_poll_published_total: {
    kind: 'counter',
    help: 'Rows appended to the raw topic.',
    labels: ['stream', 'channel'],
  },
  cnk_poll_duplicates_total: {
    kind: 'counter',
    help: 'Rows read again within the overlap and not appended.',
    labels: ['stream', 'channel'],
  },
  cnk_poll_windows_total: { kind: 'counter', help: 'Polls read to their end.', labels: ['stream'] },
  cnk_poll_window_seconds: { kind: 'histogram', help: 'From the first search of a poll to its end.', labels: [] },
  cnk_poll_forgotten_total: {
    kind: 'counter',
    help: 'Rows forgotten within the overlap for want of room; they are appended once more.',
    labels: ['stream'],
  },
  cnk_poll_alarms_total: {
    kind: 'counter',
    help: 'Findings that need somebody to look, by error code.',
    labels: ['stream', 'code'],
  },
  cnk_poll_streams: { kind: 'gauge', help: 'Streams of the connections polled here, by state.', labels: ['state'] },
  cnk_poll_lag_seconds: {
    kind: 'gauge',
    help: 'Age of the last complete poll of the connection that is furthest behind.',
    labels: ['stream'],
  },
  cnk_poll_failures_total: {
    kind: 'counter',
    help: 'Ends of ownership of a cursor partition by an error, by code and what follows.',
    labels: ['code', 'next'],
  },
  cnk_poll_partitions: { kind: 'gauge', help: 'Cursor partitions of this process by phase.', labels: ['phase'] },
  cnk_backfill_streams: { kind: 'gauge', help: 'Backfills of this process by status.', labels: ['status'] },
  cnk_backfill_rows_left: {
    kind: 'gauge',
    help: 'Rows the running backfills of this process still have to read, as far as Kustomer told.',
    labels: ['stream'],
  },
  cnk_backfill_rows_per_second: {
    kind: 'gauge',
    help: 'Rows the running backfills of this process read lately.',
    labels: ['stream'],
  },
  cnk_backfill_eta_seconds: {
    kind: 'gauge',
    help: 'Time to the end of the slowest running backfill at its present rate.',
    labels: ['stream'],
  },
  cnk_sink_commands_total: {
    kind: 'counter',
    help: 'Commands that came to their end, by verdict and outcome; each has a receipt.',
    labels: ['decision', 'outcome'],
  },
  cnk_sink_errors_total: { kind: 'counter', help: 'Receipts that name an error, by its code.', labels: ['code'] },
  cnk_sink_writes_total: { kind: 'counter', help: 'Writes that left for Kustomer, repetitions included.', labels: [] },
  cnk_sink_ambiguous_total: {
    kind: 'counter',
    help: 'Writes whose answer is missing: they are read back before anything is sent again.',
    labels: [],
  },
  cnk_sink_reconciled_total: {
    kind: 'counter',
    help: 'Commands whose outcome was told by reading back.',
    labels: [],
  },
  cnk_sink_dead_letters_total: {
    kind: 'counter',
    help: 'Records of the commands topic that nobody could be told of, by error code.',
    labels: ['code'],
  },
  cnk_sink_command_seconds: {
    kind: 'histogram',
    help: 'From the append of a command to its outcome.',
    labels: ['outcome'],
  },
  cnk_sink_transaction_seconds: { kind: 'histogram', help: 'Commit of one transaction of the ledger.', labels: [] },
  cnk_sink_commands_lost_total: {
    kind: 'counter',
    help: 'Offsets of the commands topic that retention took before they were carried out.',
    labels: [],
  },
  cnk_sink_failures_total: {
    kind: 'counter',
    help: 'Ends of ownership of a partition of commands by an error, by code and what follows.',
    labels: ['code', 'next'],
  },
  cnk_sink_partitions: { kind: 'gauge', help: 'Partitions of commands of this process by phase.', labels: ['phase'] },
  cnk_sink_lag_records: {
    kind: 'gauge',
    help: 'Commands not finished yet, by partition of this process, when last asked: those in hand and those behind them in the log, where a single one may be a marker and is not counted.',
    labels: ['partition'],
  },
  cnk_sink_in_flight: { kind: 'gauge', help: 'Commands that are being carried out.', labels: [] },
  cnk_sink_waiting: {
    kind: 'gauge',
    help: 'Commands taken in that wait for their turn, or back off.',
    labels: [],
  },
  cnk_sink_backing_off: { kind: 'gauge', help: 'Conversations whose command waits to be tried again.', labels: [] },
  cnk_sink_passed_over: {
    kind: 'gauge',
    help: 'Commands that wait in the log, since their tenant has its share of the room: others are let by.',
    labels: [],
  },
  cnk_sink_ledger_entries: { kind: 'gauge', help: 'Commands remembered by the ledgers of this process.', labels: [] },
  cnk_sink_ledger_bytes: { kind: 'gauge', help: 'Bytes held by the ledgers of this process.', labels: [] },
  cnk_sink_full_ledgers: {
    kind: 'gauge',
    help: 'Partitions that take no command because their ledger is full.',
    labels: [],
  },
  cnk_sink_faulty_connections: {
    kind: 'gauge',
    help: 'Connections whose last write Kustomer refused for the key, a missing role or a wrong address.',
    labels: ['fault'],
  },
  cnk_quota_reservations_total: {
    kind: 'counter',
    help: 'Places asked for in the limits of policies: granted, limited, or unavailable (nobody could tell).',
    labels: ['answer'],
  },
  cnk_quota_wait_seconds: { kind: 'histogram', help: 'From asking for a place in a limit to its answer.', labels: [] },
  cnk_quota_keeper_failures_total: {
    kind: 'counter',
    help: 'Ends of ownership of a partition of the limits by an error, by code and what follows.',
    labels: ['code', 'next'],
  },
  cnk_connections: { kind: 'gauge', help: 'Connections known to this process.', labels: [], across: 'max' },
  cnk_connection_state: {
    kind: 'gauge',
    help: 'State of each connection this process looks after: 1 for the one it is in, 0 for the others.',
    labels: ['connection', 'state'],
  },
  cnk_webhooks_reenabled_total: {
    kind: 'counter',
    help: 'Webhooks of Kustomer that were switched on again, or not, by outcome.',
    labels: ['outcome'],
  },
  cnk_connections_unreadable: {
    kind: 'gauge',
    help: 'Connections this process cannot open, mostly for want of the master key; their webhooks are answered 503.',
    labels: [],
    across: 'max',
  },
  cnk_api_requests_total: {
    kind: 'counter',
    help: 'Requests of the control API, by route and status.',
    labels: ['route', 'status'],
  },
  cnk_api_request_seconds: {
    kind: 'histogram',
    help: 'From the arrival of a request of the API to the end of its answer; streams last as long as they are read.',
    labels: ['route'],
  },
  cnk_api_open_requests: { kind: 'gauge', help: 'Requests of the API under way, streams included.', labels: [] },
  cnk_api_streams: { kind: 'gauge', help: 'Streams of the API under way.', labels: [] },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;
