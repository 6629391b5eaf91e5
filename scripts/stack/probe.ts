/**
 * Does it really answer? Asks a broker for its metadata, a registry for its subjects and whether it takes a schema.
 *
 * The broker is asked in Kafka's wire protocol, forty lines of it, rather than through the service's own client: these
 * scripts and the tests' set-up must not depend on the code they are there to test. Plain text only; brokers behind
 * SASL or TLS are asked through the service (external.ts).
 */
import { connect } from 'node:net';

const METADATA = 3;
const METADATA_VERSION = 1;
const TIMEOUT_MS = 3_000;

/** Metadata request v1 for no topic: header (key, version, correlation, client id), then an empty array. */
function metadataRequest(): Buffer {
  const clientId = Buffer.from('cn-kustomer-probe');
  const body = Buffer.alloc(10 + clientId.length + 4);
  body.writeInt16BE(METADATA, 0);
  body.writeInt16BE(METADATA_VERSION, 2);
  body.writeInt32BE(1, 4);
  body.writeInt16BE(clientId.length, 8);
  clientId.copy(body, 10);
  body.writeInt32BE(0, 10 + clientId.length);
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

/** True when the answer lists at least one broker and a controller. */
function hasController(answer: Buffer): boolean {
  let at = 4; // after the correlation id
  const brokers = answer.readInt32BE(at);
  at += 4;
  for (let i = 0; i < brokers; i += 1) {
    at += 4; // node id
    at += 2 + answer.readInt16BE(at); // host
    at += 4; // port
    at += 2 + Math.max(0, answer.readInt16BE(at)); // rack
  }
  return brokers > 0 && answer.readInt32BE(at) >= 0;
}

/** True when the broker at host:port answers a metadata request with a controller; rejects when it cannot be asked. */
export function kafkaAnswers(hostAndPort: string): Promise<boolean> {
  const split = hostAndPort.lastIndexOf(':');
  const host = hostAndPort.slice(0, split);
  const port = Number(hostAndPort.slice(split + 1));
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (error: Error | null, answer = false) => {
      socket.destroy();
      if (error === null) resolve(answer);
      else reject(error);
    };
    socket.setTimeout(TIMEOUT_MS, () => end(new Error('no answer to a metadata request')));
    socket.on('error', end);
    socket.on('close', () => end(new Error('connection closed')));
    socket.on('connect', () => socket.write(metadataRequest()));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      try {
        end(null, hasController(received.subarray(4)));
      } catch {
        end(new Error('not the answer of a Kafka broker'));
      }
    });
  });
}

/** True when the registry lists its subjects; rejects when it cannot be asked. */
export async function registryAnswers(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`GET ${url}/subjects: ${answer.status}`);
  return Array.isArray(await answer.json());
}

/**
 * True when the registry takes a schema; none is left in it. One that reads many schemas back from Kafka lists them long
 * before: the first write after `make up` then took 15 s, more than clients wait.
 */
export async function registryTakes(url: string): Promise<boolean> {
  const subject = `${url}/subjects/cn-kustomer-probe`;
  const ask = async (method: string, target: string, body?: string): Promise<void> => {
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await fetch(target, { method, headers, signal, ...(body === undefined ? {} : { body }) });
    if (!answer.ok) throw new Error(`${method} ${target}: ${answer.status}`);
    await answer.arrayBuffer();
  };
  await ask('POST', `${subject}/versions`, JSON.stringify({ schema: '"string"' }));
  await ask('DELETE', subject);
  await ask('DELETE', `${subject}?permanent=true`);
  return true;
}
