/**
 * The requests of a Kafka client of this process, one by one, on their way to a broker and back. The broker itself is
 * real and knows nothing of it.
 */
import net from 'node:net';

/** Request kinds by their number in the Kafka protocol. */
export const API = {
  produce: 0,
  fetch: 1,
  metadata: 3,
  findCoordinator: 10,
  joinGroup: 11,
  addPartitionsToTransaction: 24,
  addOffsetsToTransaction: 25,
  endTransaction: 26,
} as const;

/**
 * pass           nothing happens to it
 * lose           the broker never gets it
 * loseAnswer     the broker acts on it, and the client never hears
 * { error, at }  the broker acts on it, and the answer carries this error code at this byte of its body
 * { answered }   the broker acts on it; called when its answer is here, which the client then never hears
 */
export type Fate =
  | 'pass'
  | 'lose'
  | 'loseAnswer'
  | { readonly error: number; readonly at: number }
  | { readonly answered: () => void };

export type DecideFate = (apiKey: number, request: Buffer) => Fate;

const SIZE_BYTES = 4;
const API_BYTES = 4;
const CORRELATION_BYTES = 4;

/** From now on, and until called back: what `connect` makes of each new connection. */
export function replaceConnect(connect: (real: (...args: unknown[]) => net.Socket, args: unknown[]) => net.Socket) {
  const real = net.connect;
  const bound = real.bind(net) as (...args: unknown[]) => net.Socket;
  net.connect = ((...args: unknown[]) => connect(bound, args)) as typeof net.connect;
  return () => {
    net.connect = real;
  };
}

/** The transactional.id of a request that begins with one (AddPartitionsToTxn, AddOffsetsToTxn, EndTxn). */
export function transactionalIdOf(request: Buffer): string {
  const clientAt = SIZE_BYTES + API_BYTES + CORRELATION_BYTES;
  const idAt = clientAt + 2 + Math.max(0, request.readInt16BE(clientAt));
  return request.toString('utf8', idAt + 2, idAt + 2 + request.readInt16BE(idAt));
}

/** Whether an EndTxn request commits; else it aborts. The last byte of the versions KafkaJS speaks. */
export function isCommit(endTransaction: Buffer): boolean {
  return endTransaction.at(-1) === 1;
}

export function interceptRequests(socket: net.Socket, decide: DecideFate): void {
  const fates = new Map<number, Fate>();
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((request: Buffer, ...rest: unknown[]) => {
    const fate = decide(request.readInt16BE(SIZE_BYTES), request);
    if (fate === 'lose') return true;
    if (fate !== 'pass') fates.set(request.readInt32BE(SIZE_BYTES + API_BYTES), fate);
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

/** Passes bytes on frame by frame, without those that are lost. What is to be changed in a frame must be in its first chunk. */
function frameFilter(fates: Map<number, Fate>): (chunk: Buffer) => Buffer {
  let unfinishedBytes = 0;
  let isUnfinishedLost = false;
  let head = Buffer.alloc(0);
  return (received) => {
    const chunk = head.length > 0 ? Buffer.concat([head, received]) : received;
    head = Buffer.alloc(0);
    const kept: Buffer[] = [];
    let at = Math.min(unfinishedBytes, chunk.length);
    unfinishedBytes -= at;
    if (at > 0 && !isUnfinishedLost) kept.push(chunk.subarray(0, at));
    while (at < chunk.length) {
      if (chunk.length - at < SIZE_BYTES + CORRELATION_BYTES) {
        head = Buffer.from(chunk.subarray(at));
        break;
      }
      const end = at + SIZE_BYTES + chunk.readInt32BE(at);
      const frame = chunk.subarray(at, end);
      const correlationId = frame.readInt32BE(SIZE_BYTES);
      const fate = fates.get(correlationId) ?? 'pass';
      fates.delete(correlationId);
      if (typeof fate === 'object' && 'error' in fate)
        frame.writeInt16BE(fate.error, SIZE_BYTES + CORRELATION_BYTES + fate.at);
      if (typeof fate === 'object' && 'answered' in fate) fate.answered();
      isUnfinishedLost = fate === 'loseAnswer' || (typeof fate === 'object' && 'answered' in fate);
      if (!isUnfinishedLost) kept.push(frame);
      unfinishedBytes = Math.max(0, end - chunk.length);
      at = end;
    }
    return Buffer.concat(kept);
  };
}
