/** `make up`: a Kafka and a schema registry that answer, or the reason why not. */
import { main, report } from './cli.ts';
import { checkExternal, externalStack } from './external.ts';
import { bringUp } from './lifecycle.ts';
import { envLines } from './state.ts';

await main(async () => {
  if (externalStack() !== null) {
    await checkExternal();
    report('KAFKA_BROKERS and SCHEMA_REGISTRY_URL are set: using these, starting nothing');
    return 0;
  }
  const stack = await bringUp(report);
  report(stack.started ? 'up; `make down` stops it' : 'already up');
  process.stdout.write(envLines(stack));
  return 0;
});
