/** `fibric` as a process: real streams, real time, Ctrl-C, and pipes that close early. */
import { randomUUID } from 'node:crypto';
import { realClock } from '../base/clock.ts';
import { EXIT } from './exit.ts';
import { runFibric } from './program.ts';
import { Redactor } from './redact.ts';

const stop = new AbortController();
// Once: a second Ctrl-C ends the process where the first one hangs.
process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());

// `fibric events tail | head` is no error: whoever read has seen enough.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
  });
}

const code = await runFibric(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: stop.signal,
  clock: realClock,
  random: Math.random,
  newKey: randomUUID,
  redactor: new Redactor(),
});
process.exitCode = code;
// A question that was answered, or a connection that lingers, keeps nobody waiting.
process.stdin.unref?.();
