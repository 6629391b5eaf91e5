/** Names of the record headers, one table for all topics. Values are UTF-8 text. */
export const HEADER = {
  tenant: 'tenant',
  connection: 'connection',
  /** webhook | poll | backfill | replay */
  channel: 'channel',
  /** Milliseconds since the epoch, when the receiver had the whole body. */
  receivedAt: 'received_at',
  /** `conversation`, `message`, `customer`, … where the body says so. */
  resourceType: 'resource_type',
  eventName: 'event_name',
  rev: 'rev',
  /** Id of the delivery: the vendor's event id where the body has one. */
  deliveryId: 'delivery_id',
  traceparent: 'traceparent',
  /** On envelopes: the change identity, the dedupe key of the change. */
  changeId: 'change_id',
  eventType: 'event_type',
  schema: 'schema',
  /** On dead letters: error code, message, and where the raw record stands. */
  errorCode: 'error_code',
  errorMessage: 'error_message',
  sourceTopic: 'source_topic',
  sourcePartition: 'source_partition',
  sourceOffset: 'source_offset',
  /** On dead letters that have another key than their record had. */
  sourceKey: 'source_key',
  /** On commands: with tenant and connection, who to tell should the value be unreadable. */
  commandId: 'command_id',
  /** On records of the commands topic that are no commands: `answer`. */
  kind: 'kind',
  /** On commands: how far their sender had read the control topic. They are judged by nothing older than that. */
  controlAt: 'control_at',
  /** On commands of `connectors test`: that the API published it. Nobody else may act under that name. */
  connectorTest: 'connector_test',
  /** On control records: which write this is, so that its writer knows it when it comes back. */
  writeId: 'write_id',
} as const;

export type Channel = 'webhook' | 'poll' | 'backfill' | 'replay';
