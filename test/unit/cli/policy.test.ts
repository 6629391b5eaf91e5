/** Policies: shown with their problems in place, compared, told from files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { envelope } from '../../support/fibric/fake-api.ts';
import { POLICY_YAML } from '../../support/fibric/fixtures.ts';
import { apply, folder, withApi } from '../../support/fibric/world.ts';

describe('policies', () => {
  it('that are wrong are refused here, in their place, and sent nowhere', async () => {
    const { api, fibric } = await withApi();
    const path = join(folder(), 'policy.yaml');
    writeFileSync(path, POLICY_YAML.replace('per: hour', 'per: fortnight'));
    for (const line of [`policy apply ${path}`, `policy validate ${path}`]) {
      const run = await fibric(line);
      expect(run.code).toBe(EXIT.usage);
      expect(run.notes).toContain(`${path}:6:12: a limit cannot be per "fortnight"`);
      expect(run.notes).toContain('6 |       per: fortnight\n    |            ^');
    }
    expect(api.asked).toEqual([]);
    const told = (await fibric(`policy validate ${path} --json`)).notes;
    expect(JSON.parse(told)).toMatchObject({ error: { code: 'policy_invalid', problems: [{ line: 6, column: 12 }] } });
  });

  it('show in their place what only the API knows to be wrong', async () => {
    const { api, fibric } = await withApi();
    const problems = [{ field: null, code: 'x', message: 'not in this workspace', remedy: 'ask', line: 4, column: 5 }];
    api.fault = () => ({ status: 422, body: envelope(422, 'policy_invalid', 'no', problems) });
    const run = await fibric('policy apply -', { stdin: POLICY_YAML });
    expect(run.code).toBe(EXIT.usage);
    expect(run.notes).toContain('stdin:4:5: not in this workspace; ask');
  });

  it('a name and a file are told apart', async () => {
    const { fibric } = await withApi();
    const run = await fibric('policy validate support-writes');
    expect(run.code).toBe(EXIT.notFound);
    expect(run.notes).toContain('./support-writes');
    expect((await fibric('policy validate ./no-such-file.yaml')).code).toBe(EXIT.usage);
  });

  it('differ between versions, or do not', async () => {
    const both = await withApi();
    await apply(both);
    expect((await both.fibric('policy diff support-writes')).code).toBe(EXIT.usage);
    await apply(both, POLICY_YAML.replace('max: 25', 'max: 5'));
    const run = await both.fibric('policy diff support-writes --json');
    expect(run.code).toBe(EXIT.notFound);
    expect(JSON.parse(run.out)).toMatchObject({ differs: true, from: 'support-writes version 1' });
    expect((await both.fibric('policy diff support-writes --from 2 --to 2')).code).toBe(EXIT.ok);
    const path = join(folder(), 'p.yaml');
    writeFileSync(path, `# another comment\n${POLICY_YAML.replace('max: 25', 'max:   5')}`);
    expect((await both.fibric(`policy diff ${path}`)).code).toBe(EXIT.ok);
  });
});
