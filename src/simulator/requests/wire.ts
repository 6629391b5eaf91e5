/** Carries an answer to the wire, or spoils it on the way as the fault says. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestFault } from './faults.ts';

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export function deliver(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body }: WireAnswer,
  fault: RequestFault | null,
): FastifyReply | undefined {
  const kind = fault?.kind ?? 'status';
  if (kind === 'status') return reply.code(status).headers(headers).send(body);
  reply.hijack();
  if (kind === 'reset') {
    request.raw.socket.resetAndDestroy();
    return undefined;
  }
  // The caller hears nothing more; closing the server ends it.
  if (kind === 'timeout') return undefined;
  const bytes = Buffer.from(JSON.stringify(body) ?? '');
  const sent = kind === 'slow' ? bytes : bytes.subarray(0, bytes.length >> 1);
  const announced = kind === 'truncate' ? sent.length : bytes.length;
  reply.raw.writeHead(status, {
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': announced,
  });
  if (kind === 'truncate') reply.raw.end(sent);
  else if (kind === 'cut') reply.raw.write(sent, () => request.raw.socket.destroy());
  else trickle(reply, bytes, fault as RequestFault);
  return undefined;
}

function trickle(reply: FastifyReply, bytes: Buffer, { pieces, pauseMs }: RequestFault): void {
  const size = Math.max(1, Math.ceil(bytes.length / pieces));
  let sent = 0;
  const timer = setInterval(() => {
    reply.raw.write(bytes.subarray(sent, sent + size));
    sent += size;
    if (sent < bytes.length) return;
    clearInterval(timer);
    reply.raw.end();
  }, pauseMs);
  reply.raw.once('close', () => clearInterval(timer));
}
