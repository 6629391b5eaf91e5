/** The entry of `cn-kustomer`: the only place for argv, environment, signals and the exit code. */
import { runCli } from './app/cli/program.ts';

process.exitCode = await runCli(process.argv.slice(2), process.env);

/** What a command leaves open (a socket nobody answers on) must not keep the process for good. */
setTimeout(() => process.exit(), 1_000).unref();
