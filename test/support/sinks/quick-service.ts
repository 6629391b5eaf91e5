/**
 * `cn-kustomer`, whole, with times of seconds where the service's own are many: what takes a minute there takes moments here.
 * Arguments are those of the service. Only tests start it; the service has no way to be told so.
 */
import { runCli } from '../../../src/app/cli/program.ts';
import { DEFAULT_TIMEOUTS } from '../../../src/kustomer/client/transport.ts';
import { LIFECYCLE_DEFAULTS } from '../../../src/sinks/lifecycle/config.ts';
import { UNHURRIED, UNHURRIED_CALLS } from './house.ts';

Object.assign(LIFECYCLE_DEFAULTS, UNHURRIED);
Object.assign(DEFAULT_TIMEOUTS, UNHURRIED_CALLS);

process.exitCode = await runCli(process.argv.slice(2), process.env);

// As in main.ts: nothing may keep the process once it has said how it ended.
setTimeout(() => process.exit(), 1_000).unref();
