/**
 * The network between Kustomer and the receiver: passes webhooks on, remembers which were taken, and can lose its way to the
 * receiver for single connections.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Agent } from 'undici';

export interface Gate {
  /** Where webhooks are to be sent instead of to the receiver. */
  readonly url: string;
  /** Answers 503 in the receiver's place. */
  close(connectionId: string): void;
  open(connectionId: string): void;
  /** Whether a webhook of this revision was answered with 2xx. */
  taken(connectionId: string, resourceType: string, resourceId: string, rev: number): boolean;
  counts(): { readonly taken: number; readonly refused: number };
  stop(): Promise<void>;
}

export async function startGate(receiverUrl: string): Promise<Gate> {
  const taken = new Set<string>();
  const closed = new Set<string>();
  let accepted = 0;
  let refused = 0;
  const agent = new Agent({ connections: 32 });

  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    const connectionId = path.split('/').at(-1) ?? '';
    const body = await buffer(request);
    if (closed.has(connectionId)) {
      refused += 1;
      response.writeHead(503).end();
      return;
    }
    const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers;
    const { origin } = new URL(receiverUrl);
    const answer = await agent.request({
      origin,
      path,
      method: 'POST',
      headers: headers as Record<string, string>,
      body,
    });
    await answer.body.dump();
    const isTaken = answer.statusCode >= 200 && answer.statusCode < 300;
    if (isTaken) {
      accepted += 1;
      const { data } = JSON.parse(body.toString()) as {
        data: { type: string; id: string; attributes: { rev: number } };
      };
      taken.add(keyOf(connectionId, data.type, data.id, data.attributes.rev));
    } else refused += 1;
    response.writeHead(answer.statusCode).end();
  };

  const server = createServer((request, response) => {
    pass(request, response).catch(() => {
      refused += 1;
      response.writeHead(502).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: (connectionId) => void closed.add(connectionId),
    open: (connectionId) => void closed.delete(connectionId),
    taken: (...key) => taken.has(keyOf(...key)),
    counts: () => ({ taken: accepted, refused }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await agent.destroy();
    },
  };
}

function keyOf(connectionId: string, resourceType: string, resourceId: string, rev: number): string {
  return `${connectionId} ${resourceType} ${resourceId} ${rev}`;
}
