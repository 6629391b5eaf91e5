import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COMMAND_TYPES } from '../../../../src/fibric/commands/index.ts';
import type { Action } from '../../../../src/sinks/actions/action.ts';
import { ACTIONS } from '../../../../src/sinks/actions/index.ts';

const actions: readonly Action[] = Object.values(ACTIONS) as unknown as readonly Action[];

describe('the catalogue of actions', () => {
  it('can do every command there is, each in a file of its own', () => {
    expect(Object.keys(ACTIONS)).toEqual(COMMAND_TYPES.map(({ capability }) => capability));
    for (const [capability, action] of Object.entries(ACTIONS)) expect(action.capability).toBe(capability);
    const files = readdirSync(new URL('../../../../src/sinks/actions/', import.meta.url));
    for (const { capability } of actions) expect(files).toContain(`${capability.replaceAll('.', '-')}.ts`);
  });

  it("names the roles of Kustomer's present scheme, and reads back with roles that read", () => {
    for (const { permissions } of actions) {
      for (const role of [...permissions.plan, ...permissions.readBack]) {
        expect(role).toMatch(/^org\.permission\.[a-z_]+\.(read|create|update)$/);
      }
      expect(permissions.readBack.every((role) => role.endsWith('.read'))).toBe(true);
      expect(permissions.plan.some((role) => !role.endsWith('.read'))).toBe(true);
    }
  });
});
