/** `make setup`: fetches what `make up` will start, so that later targets start at once. */
import { fetchArtifacts } from './artifacts.ts';
import { main, report } from './cli.ts';
import { composePull, dockerAnswers } from './docker.ts';
import { externalStack } from './external.ts';
import { findJava } from './java.ts';

await main(async () => {
  if (externalStack() !== null) {
    report('KAFKA_BROKERS and SCHEMA_REGISTRY_URL are set: nothing to fetch');
  } else if (dockerAnswers()) {
    composePull();
  } else {
    findJava();
    fetchArtifacts(report);
  }
  report('setup ok');
  return 0;
});
