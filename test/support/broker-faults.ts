/**
 * Faults between a Kafka client of this process and the broker, on the level of single requests: one is lost, its answer is
 * lost, or the answer is turned into an error. The broker itself is real and knows nothing of it.
 */
import net from 'node:net';
import { onTestFinished, vi } from 'vitest';

/** Request kinds by their number in the Kafka protocol. */
export const API = {
  produce: 0,
  fetch: 1,
  findCoordinator: 10,
  joinGroup: 11,
  addPartitionsToTransaction: 24,
  endTransaction: 26,
} as const;

/** Error codes of the Kafka protocol. */
export const ERROR = { coordinatorNotAvailable: 15 } as const;

/**
 * pass           nothing happens to it
 * lose           the broker never gets it
 * loseAnswer     the broker acts on it, and the client never hears
 * { error, at }  the broker acts on it, and the answer carries this error code at this byte of its body
 */
export type Fate = 'pass' | 'lose' | 'loseAnswer' | { readonly error: number; readonly at: number };

export interface BrokerFaults {
  /** Decides what happens to each request from now on. */
  decide(fate: (apiKey: number, request: Buffer) => Fate): void;
  /** Resets every connection; new ones are refused until `mend`. */
  cut(): void;
  mend(): void;
}

const SIZE_BYTES = 4;
const CORRELATION_BYTES = 4;

/** For the rest of this test. Connections made before are not affected. */
export function brokerFaults(): BrokerFaults {
  const state = { fate: (_apiKey: number, _request: Buffer): Fate => 'pass', cut: false };
  const sockets = new Set<net.Socket>();
  const connect = net.connect.bind(net) as (...args: unknown[]) => net.Socket;
  const spy = vi.spyOn(net, 'connect').mockImplementation(((...args: unknown[]) => {
    // Port 1 refuses: nobody listens there.
    const socket = state.cut ? connect({ host: '127.0.0.1', port: 1 }) : connect(...args);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    intercept(socket, (apiKey, request) => state.fate(apiKey, request));
    return socket;
  }) as typeof net.connect);
  onTestFinished(() => spy.mockRestore());
  return {
    decide: (fate) => {
      state.fate = fate;
    },
    cut: () => {
      state.cut = true;
      const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
      for (const socket of sockets) socket.destroy(reset);
    },
    mend: () => {
      state.cut = false;
    },
  };
}

function intercept(socket: net.Socket, decide: (apiKey: number, request: Buffer) => Fate): void {
  const fates = new Map<number, Fate>();
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((request: Buffer, ...rest: unknown[]) => {
    const fate = decide(request.readInt16BE(SIZE_BYTES), request);
    if (fate === 'lose') return true;
    if (fate !== 'pass') fates.set(request.readInt32BE(SIZE_BYTES + CORRELATION_BYTES), fate);
    return write(request, ...rest);
  }) as typeof socket.write;

  const on = socket.on.bind(socket) as (...args: unknown[]) => net.Socket;
  const frames = frameFilter(fates);
  socket.on = ((event: string, listener: (chunk: Buffer) => void) => {
    if (event !== 'data') return on(event, listener);
    return on(event, (chunk: Buffer) => {
      const left = frames(chunk);
      if (left.length > 0) listener(left);
    });
  }) as typeof socket.on;
}

/** Passes bytes on frame by frame, without those that are lost. A frame begun in one chunk passes unchanged. */
function frameFilter(fates: Map<number, Fate>): (chunk: Buffer) => Buffer {
  let unfinishedBytes = 0;
  return (chunk) => {
    const kept: Buffer[] = [];
    let at = Math.min(unfinishedBytes, chunk.length);
    unfinishedBytes -= at;
    if (at > 0) kept.push(chunk.subarray(0, at));
    while (at < chunk.length) {
      const end = at + SIZE_BYTES + chunk.readInt32BE(at);
      const frame = chunk.subarray(at, end);
      const correlationId = frame.readInt32BE(SIZE_BYTES);
      const fate = fates.get(correlationId) ?? 'pass';
      fates.delete(correlationId);
      if (typeof fate === 'object') frame.writeInt16BE(fate.error, SIZE_BYTES + CORRELATION_BYTES + fate.at);
      if (fate !== 'loseAnswer') kept.push(frame);
      unfinishedBytes = Math.max(0, end - chunk.length);
      at = end;
    }
    return Buffer.concat(kept);
  };
}
