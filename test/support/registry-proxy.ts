/** A gate in front of a real schema registry: open it passes everything, closed it drops every connection. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RegistryProxy {
  /** As SCHEMA_REGISTRY_URL. */
  readonly url: string;
  open(): void;
  close(): void;
  /** Requests that found it closed. */
  readonly dropped: () => number;
}

/** Closed at first; gone after the test. */
export async function startRegistryProxy(registryUrl: string): Promise<RegistryProxy> {
  const { origin, pathname } = new URL(registryUrl);
  let isOpen = false;
  let dropped = 0;
  const server = createServer(async (request, response) => {
    if (!isOpen) {
      dropped += 1;
      request.socket.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { host: _host, connection: _connection, 'content-length': _length, ...headers } = request.headers;
    const answer = await fetch(`${origin}${request.url}`, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }),
    });
    const type = answer.headers.get('content-type');
    response.writeHead(answer.status, type === null ? {} : { 'content-type': type });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    open: () => {
      isOpen = true;
    },
    close: () => {
      isOpen = false;
      server.closeAllConnections();
    },
    dropped: () => dropped,
  };
}
