/** A webhook receiver on loopback for tests: keeps what arrives, answers as told. */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

// biome-ignore lint/suspicious/noExplicitAny: parsed JSON which a test looks into field by field
export type Json = any;

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly atMs: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Resolves when the answer may go out; absent = at once. */
  readonly after?: Promise<void>;
  /** Close the connection instead of answering. */
  readonly hangUp?: boolean;
}

export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** Decides the answer to each request; replace it at will. */
  answer: (request: Received, index: number) => Answer;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      const entry = { path: request.url ?? '', headers: request.headers, body, atMs: performance.now() };
      received.push(entry);
      const answer = receiver.answer(entry, received.length - 1);
      await answer.after;
      if (answer.hangUp) request.socket.destroy();
      else response.writeHead(answer.status, answer.headers).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    received,
    answer: () => ({ status: 200 }),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return receiver;
}

export function signatureOf(token: string, body: string): string {
  return createHmac('sha256', token).update(body, 'utf8').digest('hex');
}
