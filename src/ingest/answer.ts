/** How the receiver speaks: an empty 200, or a refusal as `{"error":{"code","message","request_id"}}`. */
import type { ServerResponse } from 'node:http';
import type { ErrorCode } from '../base/errors.ts';

export interface ErrorAnswer {
  readonly status: number;
  readonly code: ErrorCode | 'internal';
  readonly message: string;
}

export interface AnswerContext {
  readonly requestId: string;
  readonly retryAfterS: number;
  /** Ask the sender to open a new connection next time. */
  readonly close: boolean;
}

export function errorBody(answer: ErrorAnswer, requestId: string): string {
  return JSON.stringify({ error: { code: answer.code, message: answer.message, request_id: requestId } });
}

/** Headers a refusal of this status owes its reader, beside content type and length. */
export function errorHeaders(status: number, retryAfterS: number): Record<string, string> {
  if (status === 405) return { allow: 'POST' };
  if (status === 503) return { 'retry-after': String(retryAfterS) };
  return {};
}

export function answerError(response: ServerResponse, answer: ErrorAnswer, context: AnswerContext): void {
  const body = errorBody(answer, context.requestId);
  response.writeHead(answer.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...errorHeaders(answer.status, context.retryAfterS),
    ...(context.close ? { connection: 'close' } : {}),
  });
  response.end(body);
}

export function answerAccepted(response: ServerResponse, close: boolean): void {
  if (close) response.setHeader('connection', 'close');
  response.statusCode = 200;
  response.end();
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** The same refusal as raw bytes, for a socket on which Node could not parse a request. */
export function rawError(answer: ErrorAnswer, requestId: string): string {
  const body = errorBody(answer, requestId);
  return (
    `HTTP/1.1 ${answer.status} ${REASONS[answer.status] ?? ''}\r\ncontent-type: application/json; charset=utf-8\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
  );
}
