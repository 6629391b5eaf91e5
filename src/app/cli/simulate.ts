/** `cn-kustomer simulate`: a Kustomer that behaves, for as long as wanted. */
import { aborted } from '../../base/aborted.ts';
import { createSimulator } from '../../simulator/server.ts';
import type { AddCommand } from './add-command.ts';
import { type SimulateFlags, simulatorOptions } from './simulate-options.ts';

const AFTER_HELP = `
JSON options take what the control surface takes under the same name (docs/simulator.md). What is left out keeps its default.

Examples:
  simulate --orgs acme globex --conversations 500 --history 90d --orders 200
  simulate --sla firstResponse=15m nextReply=4h,2h,1h,30m,10m
  simulate --limits '{"orgPerMinute":300,"searchPerMinute":100,"greedyPerMinute":250}'
  simulate --search '{"lagMs":{"min":200,"max":2000},"stragglers":{"fraction":0.01,"lagMs":60000},"maxPages":5}'
  simulate --faults '{"drop":0.3,"duplicate":0.3,"reorder":{"fraction":1,"windowMs":2000}}' --time-scale 3840
  simulate --request-faults '[{"path":"/v1/customers/search","kind":"status","status":429,"retryAfterS":5,"count":20}]'
  simulate --roles org.user.customer.read org.user.conversation.read`;

export const addSimulate: AddCommand = (program, context) => {
  program
    .command('simulate')
    .description('run a simulated Kustomer: REST API, outbound webhooks, faults; until SIGINT or SIGTERM')
    .option('--port <n>', 'port to listen on, on loopback; 0 = any free one', '8090')
    .option('--orgs <name...>', 'organisations, told apart by their API keys', ['acme'])
    .option('--seed <text>', 'same seed, same ids, tokens, traffic and faults', '1')
    .option('--conversations <n>', 'conversations of each organisation at the start', '100')
    .option('--history <span>', 'they were made evenly over so long before the start: 90s, 12h, 30d, …', '30d')
    .option('--orders <n>', 'orders of their customers at the start, spread over them', '0')
    .option('--klasses <name...>', 'classes of custom objects', ['order'])
    .option('--sla <metric=span...>', 'clock of every conversation: firstResponse=15m nextReply=1h, or five spans')
    .option('--limits <json>', 'rate limits, and a greedy consumer beside us')
    .option('--search <json>', 'search: lag of the index, page caps, ties, horizon')
    .option('--roles <role...>', 'what the API keys may do (default: everything)')
    .option('--masked <attribute...>', 'attributes of customers the keys may not read: emails, phones')
    .option('--behaviour <json>', 'what the vendor documents nowhere, or twice')
    .option(
      '--time-scale <n>',
      'divides the delays of the webhook retry schedule: 60 makes minutes of seconds, 3840 switches a failing webhook off within a second',
      '1',
    )
    .option('--faults <json>', 'webhook faults: duplicate, reorder, drop, delay, burst')
    .option('--request-faults <json>', 'script of faults of requests: status, timeout, truncate, cut, slow, reset')
    .addHelpText('after', AFTER_HELP)
    .action(async (flags: SimulateFlags) => {
      const simulator = createSimulator(simulatorOptions(flags));
      const { url } = await simulator.listen();
      context.print(`simulated Kustomer: ${url}/v1  (control: ${url}/_simulator/state)`);
      for (const { organisation, apiKey } of simulator.orgs) {
        context.print(`  ${organisation.name}: org ${organisation.orgId}, API key ${apiKey}`);
      }
      await aborted(context.signal);
      await simulator.close();
    });
};
