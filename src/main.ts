/** The entry of `cn-kustomer`: the only place for argv, environment, signals and the exit code. */
import { runCli } from './app/cli/program.ts';

process.exitCode = await runCli(process.argv.slice(2), process.env);
