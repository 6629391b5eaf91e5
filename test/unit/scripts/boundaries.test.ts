import { describe, expect, test } from 'vitest';
import { allViolations, violations } from '../../../scripts/boundaries.ts';

test('the tree respects its walls', () => {
  expect(allViolations()).toEqual([]);
});

describe('a planted violation is found', () => {
  test.each([
    ['a sibling room', 'src/ingest/x.ts', `import { a } from '../processors/a.ts';`],
    ['a sibling room, types only', 'src/sinks/x.ts', `import type { A } from '../ingest/a.ts';`],
    ['over several lines', 'src/api/x.ts', `import {\n  a,\n  b,\n} from '../sinks/a.ts';`],
    ['by re-export', 'src/processors/x.ts', `export * from '../ingest/a.ts';`],
    ['for its effect', 'src/processors/x.ts', `import '../ingest/a.ts';`],
    ['dynamically', 'src/ingest/x.ts', `const a = await import('../sinks/a.ts');`],
    ['from deep inside a room', 'src/kafka/kafkajs/x.ts', `import { a } from '../../fibric/a.ts';`],
    ['the composition root from a room', 'src/ingest/x.ts', `import { a } from '../app/a.ts';`],
    ['main.ts from a room', 'src/ingest/x.ts', `import { a } from '../main.ts';`],
    ['the log from the vendor', 'src/kustomer/x.ts', `import { a } from '../kafka/port.ts';`],
    ['the log from the simulator', 'src/simulator/x.ts', `import { a } from '../kafka/port.ts';`],
    ['kafkajs outside the log room', 'src/ingest/x.ts', `import { Kafka } from 'kafkajs';`],
    ['kafkajs in the composition root', 'src/app/x.ts', `import { Kafka } from 'kafkajs';`],
    ['input and output in the domain', 'src/fibric/x.ts', `import { readFileSync } from 'node:fs';`],
    ['a room without a rule', 'src/attic/x.ts', `export const a = 1;`],
  ])('%s', (_, file, source) => {
    expect(violations(file, source)).toHaveLength(1);
    expect(violations(file, source)[0]).toContain(file);
  });
});

describe('what is allowed stays allowed', () => {
  test.each([
    ['the ground under a room', 'src/ingest/x.ts', `import { a } from '../base/errors.ts';`],
    ['the log port', 'src/processors/x.ts', `import type { LogRecord } from '../kafka/port.ts';`],
    ['its own room, from a folder in it', 'src/processors/derive/x.ts', `import { a } from '../change.ts';`],
    ['everyone, for the composition root', 'src/app/x.ts', `import { a } from '../ingest/a.ts';`],
    ['kafkajs in the log room', 'src/kafka/kafkajs/x.ts', `import { Kafka } from 'kafkajs';`],
    ['a forbidden name in a comment', 'src/ingest/x.ts', `/** like import { a } from '../sinks/a.ts' */`],
    ['main.ts', 'src/main.ts', `import { a } from './app/a.ts';`],
  ])('%s', (_, file, source) => {
    expect(violations(file, source)).toEqual([]);
  });
});
