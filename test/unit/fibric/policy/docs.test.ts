/** What docs/policy.md shows is what happens: policies are taken, or refused with these very words. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';
import { MAX_LIMIT, MAX_NAME_LENGTH, MAX_SOURCE_BYTES } from '../../../../src/fibric/policy/document.ts';
import { parsePolicy } from '../../../../src/fibric/policy/parse.ts';
import { formatProblems } from '../../../../src/fibric/policy/problems.ts';
import { MAX_POLICIES, MAX_VERSIONS } from '../../../../src/fibric/policy/versions.ts';

const PAGE = readFileSync(new URL('../../../../docs/policy.md', import.meta.url), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/```yaml\n([\s\S]*?)```\n(?:\n```text\n([\s\S]*?)```)?/g)];

it('shows policies that are taken and policies that are refused', () => {
  expect(EXAMPLES.filter(([, , told]) => told === undefined)).toHaveLength(2);
  expect(EXAMPLES.filter(([, , told]) => told !== undefined)).toHaveLength(3);
});

it.each(EXAMPLES.map(([, text, told], index) => [index + 1, text as string, told ?? '']))(
  'example %i',
  (_, text, told) => {
    const parsed = parsePolicy(text, CAPABILITIES);
    expect(parsed.ok ? '' : `${formatProblems(parsed.problems, 'policy.yaml')}\n`).toBe(told);
  },
);

it('names every capability and the bounds as they are', () => {
  for (const { name, flightFields } of CAPABILITIES) {
    for (const word of [name, ...flightFields]) expect(PAGE).toContain(`\`${word}\``);
  }
  expect(PAGE).toContain(`\`max\`: 1 to ${MAX_LIMIT}`);
  expect(PAGE).toContain(`at most ${MAX_NAME_LENGTH} characters`);
  expect(PAGE).toContain(`at most ${MAX_SOURCE_BYTES / 1024} KiB`);
  expect(PAGE).toContain(`up to ${MAX_POLICIES} of them`);
  expect(PAGE).toContain(`The latest ${MAX_VERSIONS} versions`);
});
