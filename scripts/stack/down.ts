/** `make down`: stops exactly what `make up` started. The data stays in .data/stack (or the compose volume). */
import { main, report } from './cli.ts';
import { takeDown } from './lifecycle.ts';

await main(async () => {
  report((await takeDown(report)) ? 'down' : 'nothing to stop');
  return 0;
});
