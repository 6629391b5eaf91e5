import { expect, it } from 'vitest';
import { COMMAND_TYPES } from '../../../../src/fibric/commands/index.ts';
import { WRITE_CAPABILITIES } from '../../../../src/fibric/policy/capabilities.ts';

it('policies can speak of every write there is, and of arguments it has', () => {
  expect(WRITE_CAPABILITIES.map(({ name }) => name)).toEqual(COMMAND_TYPES.map(({ capability }) => capability));
  for (const [index, { flightFields }] of WRITE_CAPABILITIES.entries()) {
    const fields = COMMAND_TYPES[index]?.fields.map(({ name }) => name);
    expect(flightFields.length).toBeGreaterThan(0);
    for (const field of flightFields) expect(fields).toContain(field);
  }
});
