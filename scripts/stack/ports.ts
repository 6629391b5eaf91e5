/** TCP ports on the loopback interface. */
import { createServer, type Server } from 'node:net';

/**
 * Where to look: below the range from which systems draw the ports of outgoing connections (from 32768 or 49152 on),
 * so that no such connection takes a port between our look and the server's start.
 */
const FIRST_PORT = 15_000;
const LAST_PORT = 31_999;
const ATTEMPTS = 200;

function listen(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

/**
 * One free port per entry, the wanted number where it is free, else (or for null) any. All are held until the last is
 * found, so they differ.
 */
export async function freePorts(wanted: readonly (number | null)[]): Promise<readonly number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  try {
    for (const preferred of wanted) {
      let port = preferred;
      let server = port === null ? null : await listen(port);
      for (let attempt = 0; server === null && attempt < ATTEMPTS; attempt += 1) {
        port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
        server = await listen(port);
      }
      if (server === null || port === null) throw new Error('no free TCP port on 127.0.0.1');
      held.push(server);
      ports.push(port);
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Any free port. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts([null]);
  return port;
}
