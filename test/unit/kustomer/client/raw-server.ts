/** A server of bare sockets on loopback: it answers what a test says and knows exactly which bytes came. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface RawRequest {
  readonly socket: Socket;
  /** Everything read on this connection since its last answer. */
  readonly text: string;
}

export interface RawServer {
  readonly url: string;
  /** Everything received, all connections. */
  received(): string;
  connections(): number;
  close(): Promise<void>;
}

export interface RawBehaviour {
  readonly accept?: (socket: Socket) => void;
  /** Called once a request is whole, body included. */
  readonly request?: (request: RawRequest) => void;
  readonly data?: (socket: Socket, received: number) => void;
}

export async function rawServer({ accept, request, data }: RawBehaviour): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const all: string[] = [];
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let pending = '';
    let received = 0;
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      all.push(text);
      received += chunk.length;
      data?.(socket, received);
      pending += text;
      while (isWhole(pending)) {
        const whole = pending;
        pending = '';
        request?.({ socket, text: whole });
      }
    });
    accept?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => all.join(''),
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
  return text.length >= end + 4 + length;
}

export function answer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  return `HTTP/1.1 ${status} X\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

/** A port nobody listens on. */
export async function closedPort(): Promise<string> {
  const server = await rawServer({});
  await server.close();
  return server.url;
}
