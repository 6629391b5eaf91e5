/** Faults between the Kafka clients of a test and the broker, on the level of single requests (kafka-requests.ts). */
import type net from 'node:net';
import { onTestFinished } from 'vitest';
import { type DecideFate, type Fate, interceptRequests, replaceConnect } from './kafka-requests.ts';

export { API, type Fate } from './kafka-requests.ts';

/** Error codes of the Kafka protocol. */
export const ERROR = { coordinatorNotAvailable: 15, notCoordinator: 16, concurrentTransactions: 51 } as const;

export interface BrokerFaults {
  /** Decides what happens to each request from now on. */
  decide(fate: DecideFate): void;
  /** Resets every connection; new ones are refused until `mend`. */
  cut(): void;
  mend(): void;
}

/** For the rest of this test. Connections made before are not affected. */
export function brokerFaults(): BrokerFaults {
  const state = { fate: (_apiKey: number, _request: Buffer): Fate => 'pass', cut: false };
  const sockets = new Set<net.Socket>();
  const restore = replaceConnect((real, args) => {
    // Port 1 refuses: nobody listens there.
    const socket = state.cut ? real({ host: '127.0.0.1', port: 1 }) : real(...args);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    interceptRequests(socket, (apiKey, request) => state.fate(apiKey, request));
    return socket;
  });
  onTestFinished(restore);
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
