/** Bytes that are no HTTP request, answered in the form of every other failure; the connection is closed. */
import type { Duplex } from 'node:stream';
import { ApiError, errorEnvelope } from './errors.ts';

const REASONS = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' } as const;

export function refuseUnparsable(
  error: Error & { readonly code?: string },
  socket: Duplex,
  newRequestId: () => string,
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (!socket.writable) return void socket.destroy();
  const refusal =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? new ApiError('request_timeout', 'the request took too long to arrive')
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? new ApiError('header_too_large', 'the headers exceed the limit')
        : new ApiError('request_malformed', 'not a well-formed HTTP request');
  const requestId = newRequestId();
  const body = JSON.stringify(errorEnvelope(refusal, requestId));
  socket.end(
    `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status as keyof typeof REASONS]}\r\n` +
      `content-type: application/json; charset=utf-8\r\nx-request-id: ${requestId}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
