/**
 * `cn-kustomer`, whole and unchanged, with a process that dies or freezes at one exact moment of a transaction: chosen by
 * watching its requests to the broker, so that nothing in the service knows of it. Arguments are those of the service.
 *
 *   TAMPER=kill-before-commit    records and offsets are sent and acknowledged, the commit is not: SIGKILL
 *   TAMPER=kill-during-commit    the broker has committed, its answer is not yet read: SIGKILL
 *   TAMPER=freeze-before-commit  as the first, but SIGSTOP; once continued, the commit goes out
 *   TAMPER_AFTER=<n>             n transactions that move offsets are let through first
 */
import { writeSync } from 'node:fs';
import { runCli } from '../../src/app/cli/program.ts';
import { API, type Fate, interceptRequests, isCommit, replaceConnect, transactionalIdOf } from './kafka-requests.ts';

const { TAMPER = '', TAMPER_AFTER = '0', KAFKA_BROKERS = '' } = process.env;
const brokerPorts = new Set(KAFKA_BROKERS.split(',').map((broker) => Number(broker.split(':').at(-1))));

/** Transactions that move offsets, by transactional.id: the barrier's and the fencing ones are let through. */
const moving = new Set<string>();
let passed = 0;
let done = false;

function decide(apiKey: number, request: Buffer): Fate {
  if (apiKey === API.addOffsetsToTransaction) moving.add(transactionalIdOf(request));
  if (apiKey !== API.endTransaction || !isCommit(request)) return 'pass';
  if (!moving.delete(transactionalIdOf(request)) || done) return 'pass';
  if (passed++ < Number(TAMPER_AFTER)) return 'pass';
  done = true;
  const strike = (signal: NodeJS.Signals): void => {
    writeSync(1, `tampered: ${TAMPER}\n`);
    process.kill(process.pid, signal);
  };
  switch (TAMPER) {
    case 'kill-before-commit':
      strike('SIGKILL');
      return 'lose';
    case 'kill-during-commit':
      return { answered: () => strike('SIGKILL') };
    case 'freeze-before-commit':
      strike('SIGSTOP');
      return 'pass';
    default:
      throw new Error(`TAMPER=${TAMPER} is not known`);
  }
}

replaceConnect((real, args) => {
  const socket = real(...args);
  // The registry's connections are made by the same function.
  if (brokerPorts.has((args[0] as { port?: number }).port ?? 0)) interceptRequests(socket, decide);
  return socket;
});

process.exitCode = await runCli(process.argv.slice(2), process.env);
