/** What a KafkaJS error means to us. KafkaJS wraps causes in causes; the whole chain is looked at. */
import { CodedError, type ErrorCode } from '../../base/errors.ts';

interface KafkaErrorLike {
  readonly name?: string;
  readonly message?: string;
  readonly type?: string;
  readonly code?: unknown;
  readonly cause?: unknown;
  /** Of KafkaJSAggregateError, one per topic. */
  readonly errors?: readonly unknown[];
}

const MAX_CAUSES = 8;

function chain(error: unknown): KafkaErrorLike[] {
  const links: KafkaErrorLike[] = [];
  let link = error;
  while (typeof link === 'object' && link !== null && links.length < MAX_CAUSES) {
    links.push(link as KafkaErrorLike);
    link = (link as KafkaErrorLike).cause ?? (link as KafkaErrorLike).errors?.[0];
  }
  return links;
}

/** True when the error, or a cause of it, is a Kafka protocol error of one of these types. */
export function isProtocolError(error: unknown, ...types: string[]): boolean {
  return chain(error).some((link) => link.type !== undefined && types.includes(link.type));
}

function isNamed(error: unknown, ...names: string[]): boolean {
  return chain(error).some((link) => link.name !== undefined && names.includes(link.name));
}

/** Protocol error PRODUCER_FENCED, unknown to KafkaJS by name. */
const PRODUCER_FENCED_CODE = 90;

/** Another producer opened the same transactional.id (or the broker ended our transaction by its timeout). */
export function isFenced(error: unknown): boolean {
  return (
    isProtocolError(error, 'INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED') ||
    chain(error).some((link) => link.code === PRODUCER_FENCED_CODE)
  );
}

/** A coordinator is being created, elected or loaded, or still writes the markers of the last transaction. */
export function isCoordinatorBusy(error: unknown): boolean {
  return (
    isNamed(error, 'KafkaJSGroupCoordinatorNotFound') ||
    isProtocolError(
      error,
      'CONCURRENT_TRANSACTIONS',
      'GROUP_COORDINATOR_NOT_AVAILABLE',
      'NOT_COORDINATOR_FOR_GROUP',
      'GROUP_LOAD_IN_PROGRESS',
    )
  );
}

export function isUnknownTopic(error: unknown): boolean {
  return isProtocolError(error, 'UNKNOWN_TOPIC_OR_PARTITION');
}

/** The broker will never accept this topic, partition count, replication or configuration. */
export function isTopicRefused(error: unknown): boolean {
  return isProtocolError(
    error,
    'INVALID_TOPIC_EXCEPTION',
    'INVALID_PARTITIONS',
    'INVALID_REPLICATION_FACTOR',
    'INVALID_CONFIG',
    'INVALID_REQUEST',
    'POLICY_VIOLATION',
  );
}

/** Waiting will not help: rights, an unreadable codec, or an error in the program. */
export function isHopeless(error: unknown): boolean {
  return (
    isNamed(error, 'TypeError', 'RangeError', 'ReferenceError', 'SyntaxError') ||
    isNamed(error, 'KafkaJSNotImplemented', 'KafkaJSSASLAuthenticationError', 'KafkaJSServerDoesNotSupportApiKey') ||
    isProtocolError(
      error,
      'TOPIC_AUTHORIZATION_FAILED',
      'GROUP_AUTHORIZATION_FAILED',
      'CLUSTER_AUTHORIZATION_FAILED',
      'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
      'SASL_AUTHENTICATION_FAILED',
      'UNSUPPORTED_SASL_MECHANISM',
      'INCONSISTENT_GROUP_PROTOCOL',
      'INVALID_SESSION_TIMEOUT',
    )
  );
}

/** The first words of an error, short enough for a log line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The error as a CodedError: unchanged if it is one, else `fallback` with the cause kept. */
export function coded(error: unknown, doing: string, fallback: ErrorCode = 'log_unavailable'): CodedError {
  if (error instanceof CodedError) return error;
  const options = { cause: error };
  if (isNamed(error, 'KafkaJSNotImplemented')) {
    return new CodedError('codec_unsupported', `${doing}: ${messageOf(error)}`, {}, options);
  }
  if (isUnknownTopic(error) || isTopicRefused(error))
    return new CodedError('topic_invalid', `${doing}: ${messageOf(error)}`, {}, options);
  if (isHopeless(error)) return new CodedError('log_fatal', `${doing}: ${messageOf(error)}`, {}, options);
  return new CodedError(fallback, `${doing}: ${messageOf(error)}`, {}, options);
}
