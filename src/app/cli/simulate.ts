/** `cn-kustomer simulate`: a Kustomer that behaves, for as long as wanted. */
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { createSimulator } from '../../simulator/server.ts';
import { type FaultOptions, faultsSchema } from '../../simulator/webhooks/faults.ts';
import type { AddCommand } from './add-command.ts';
import { wholeNumber } from './options.ts';

interface SimulateOptions {
  readonly port: string;
  readonly orgs: string[];
  readonly seed: string;
  readonly conversations: string;
  readonly timeScale: string;
  readonly faults?: string;
}

export const addSimulate: AddCommand = (program, context) => {
  program
    .command('simulate')
    .description('run a simulated Kustomer: REST API, outbound webhooks, faults; until SIGINT or SIGTERM')
    .option('--port <n>', 'port to listen on, on loopback; 0 = any free one', '8090')
    .option('--orgs <name...>', 'organisations, told apart by their API keys', ['acme'])
    .option('--seed <text>', 'same seed, same ids, tokens, traffic and faults', '1')
    .option('--conversations <n>', 'conversations of each organisation at the start', '100')
    .option('--time-scale <n>', 'divides the delays of the webhook retry schedule; 60 makes minutes of seconds', '1')
    .option('--faults <json>', 'webhook faults: duplicate, reorder, drop, delay, burst (docs/simulator.md)')
    .action(async (options: SimulateOptions) => {
      const conversations = wholeNumber('--conversations', options.conversations, 1_000_000);
      const orgs = options.orgs.map((name) => ({ name, apiKey: `key-${name}`, conversations }));
      const simulator = createSimulator({
        orgs,
        seed: options.seed,
        port: wholeNumber('--port', options.port, 65_535),
        timeScale: wholeNumber('--time-scale', options.timeScale, 1_000_000),
        ...(options.faults === undefined ? {} : { faults: parseFaults(options.faults) }),
      });
      const { url } = await simulator.listen();
      context.print(`simulated Kustomer: ${url}/v1  (control: ${url}/_simulator/state)`);
      for (const { organisation, apiKey } of simulator.orgs) {
        context.print(`  ${organisation.name}: org ${organisation.orgId}, API key ${apiKey}`);
      }
      await new Promise<void>((resolve) => {
        if (context.signal.aborted) resolve();
        else context.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await simulator.close();
    });
};

function parseFaults(text: string): FaultOptions {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CodedError('config_invalid', '--faults: not JSON; for example {"duplicate":0.2,"drop":0.05}');
  }
  const parsed = faultsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CodedError('config_invalid', `--faults: ${z.prettifyError(parsed.error)}`);
}
