/** `fibric policy …`: what may be written back, and within which bounds. */
import type { Command } from 'commander';
import type { Policy } from '../api-types.ts';
import { type Call, type Cli, group, leaf, option } from '../command.ts';
import { CliError, type Problem } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import type { ApiClient } from '../http/client.ts';
import { fetchAll, fetchList, noteMore, type PageOptions, pageOptions, parseCount } from '../pages.ts';
import { policyProblems, readPolicy, ruleRows, showProblems, silentCapabilities } from '../policy-source.ts';
import { confirm } from '../prompt.ts';
import { styleOf } from '../terminal/style.ts';
import { readText } from '../text-file.ts';
import { showTime } from '../times.ts';
import { addPolicyDiff } from './policy-diff.ts';

const SLUG = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

export function addPolicy(program: Command, cli: Cli): void {
  const policy = group(program, 'policy', 'what operators may write, and how often. What no rule allows is blocked.');
  leaf(cli, policy, {
    usage: 'apply <file>',
    about: 'put a policy into force; the same content again changes nothing. `-` reads stdin.',
    examples: ['fibric policy apply ./policy.yaml', 'fibric policy apply - < policy.yaml'],
    run: apply,
  });
  leaf(cli, policy, {
    usage: 'validate <name-or-file>',
    about: 'check a policy: one in force by its name, or a file before it is applied.',
    examples: ['fibric policy validate support-writes', 'fibric policy validate ./policy.yaml'],
    run: validate,
  });
  leaf<PageOptions>(cli, policy, {
    usage: 'ls',
    about: 'every policy with its version and status.',
    options: pageOptions(),
    examples: ['fibric policy ls', 'fibric policy ls --json'],
    run: list,
  });
  leaf<{ version?: string }>(cli, policy, {
    usage: 'show <name>',
    about: 'the policy as YAML.',
    options: [option('--version <n>', 'as it was in this version')],
    examples: ['fibric policy show support-writes', 'fibric policy show support-writes --version 1'],
    run: async ({ api, out }, { version }, name) => {
      const one = await fetchPolicy(await api(), name as string, version);
      out.result(one, () => {
        out.line(`# ${one.name} version ${one.version}, ${one.status ?? '-'}, ${showTime(one.updated_at)}`);
        out.line((one.document ?? '').trimEnd());
      });
    },
  });
  addPolicyDiff(policy, cli);
  leaf(cli, policy, {
    usage: 'disable <name>',
    about: 'leave a policy out of every decision until it is applied again.',
    examples: ['fibric policy disable support-writes'],
    run: async ({ api, out }, _options, name) => {
      const one = await (await api()).call<Policy>('POST', `/policies/${encodeURIComponent(name as string)}/disable`, {
        body: {},
      });
      out.result(one, () => out.line(`${name}: disabled. What only it allowed is blocked from now on.`));
    },
  });
  leaf<{ yes?: boolean }>(cli, policy, {
    usage: 'delete <name>',
    about: 'remove a policy; receipts can still cite its versions.',
    options: [option('--yes', 'do not ask')],
    examples: ['fibric policy delete support-writes --yes'],
    run: async ({ api, out, context }, { yes }, name) => {
      const client = await api();
      await confirm(context, `Delete ${name}? What only it allowed is blocked from then on.`, yes === true);
      const answer = await client.call<unknown>('DELETE', `/policies/${encodeURIComponent(name as string)}`);
      out.result(answer ?? { object: 'policy', name, deleted: true }, () => out.line(`${name}: deleted.`));
    },
  });
}

export function fetchPolicy(api: ApiClient, name: string, version?: string): Promise<Policy> {
  const number = version === undefined ? undefined : parseCount('--version', version, 1_000_000);
  return api.get<Policy>(`/policies/${encodeURIComponent(name)}`, { version: number });
}

async function apply(call: Call, _options: unknown, file?: string): Promise<ExitCode> {
  const path = file as string;
  const text = await checkedFile(call, path);
  const client = await call.api();
  const policy = await withProblems(text, path, () =>
    client.call<Policy>('POST', '/policies', { body: { document: text } }),
  );
  call.out.result(policy, () => {
    call.out.line(`${policy.name}: version ${policy.version}, ${policy.status ?? 'active'}${changeText(policy)}`);
    showRules(call, text);
  });
  return EXIT.ok;
}

async function validate(call: Call, _options: unknown, given?: string): Promise<ExitCode> {
  const what = given as string;
  if (SLUG.test(what)) return validateNamed(call, what);
  const text = await checkedFile(call, what);
  const client = await call.api();
  const answer = await withProblems(text, what, () =>
    client.call<Validation>('POST', '/policies/validate', { body: { document: text } }),
  );
  refuseProblems(text, what, answer);
  call.out.result(answer, () => {
    call.out.line(`${what}: valid`);
    showRules(call, text);
  });
  return EXIT.ok;
}

function changeText({ change }: Policy): string {
  if (change === undefined) return '';
  return change === 'unchanged' ? ' (unchanged: it was in force already)' : ` (${change})`;
}

interface Validation {
  readonly problems?: readonly Problem[];
}

async function validateNamed(call: Call, name: string): Promise<ExitCode> {
  const client = await call.api();
  const policy = await fetchPolicy(client, name).catch((error: unknown) => {
    if (!(error instanceof CliError) || error.code !== 'not_found') throw error;
    throw new CliError('not_found', `there is no policy named ${name}`, {
      exitCode: EXIT.notFound,
      requestId: error.requestId,
      hint: `\`fibric policy ls\` shows those there are; a file is written with its path: ./${name}`,
    });
  });
  const text = policy.document ?? '';
  const answer = await withProblems(text, name, () =>
    client.call<Validation>('POST', '/policies/validate', { body: { document: text } }),
  );
  refuseProblems(text, name, answer);
  call.out.result(policy, () => {
    call.out.line(`${policy.name}: valid, version ${policy.version}, ${policy.status ?? '-'}`);
    showRules(call, text);
    if (policy.status === 'disabled')
      call.out.line('It is disabled: no decision looks at it until it is applied again.');
  });
  return EXIT.ok;
}

/** The file's text, once nothing is wrong with it that can be told from here. */
async function checkedFile({ context }: Call, path: string): Promise<string> {
  const text = await readText(context, path);
  const problems = policyProblems(text);
  if (problems !== null) throw invalidPolicy(text, path, problems);
  return text;
}

/** What the API says is wrong is shown in its place too: it may know more than this version. */
async function withProblems<T>(text: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isOurs = error instanceof CliError && error.problems.some(({ line }) => line !== undefined);
    throw isOurs ? invalidPolicy(text, path, error.problems, error.requestId) : error;
  }
}

function refuseProblems(text: string, path: string, answer: Validation | null | undefined): void {
  const problems = answer?.problems ?? [];
  if (problems.length > 0) throw invalidPolicy(text, path, problems);
}

function invalidPolicy(
  text: string,
  path: string,
  problems: readonly Problem[],
  requestId: string | null = null,
): CliError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  const shown = showProblems(text, path === '-' ? 'stdin' : path, problems).join('\n');
  return new CliError('policy_invalid', `${count} in the policy; nothing was applied\n${shown}`, {
    exitCode: EXIT.usage,
    problems,
    requestId,
    isExplained: true,
  });
}

async function list({ api, out }: Call, page: PageOptions): Promise<void> {
  const all = await (page.limit === undefined && page.cursor === undefined
    ? fetchAll<Policy>(await api(), '/policies')
    : fetchList<Policy>(await api(), '/policies', {}, page));
  out.result(all, () => {
    if (all.data.length === 0) {
      return out.line(
        'There is no policy: every write is blocked. `fibric policy apply ./policy.yaml` puts one into force.',
      );
    }
    out.table(
      [{ title: 'POLICY' }, { title: 'VERSION' }, { title: 'STATUS' }, { title: 'RULES' }, { title: 'UPDATED' }],
      all.data.map((one) => [
        one.name,
        String(one.version),
        { text: one.status ?? '-', style: styleOf(one.status) },
        String(one.rules?.length ?? '-'),
        showTime(one.updated_at),
      ]),
    );
    noteMore(all, out);
  });
}

function showRules({ out }: Call, text: string): void {
  const document = readPolicy(text);
  if (document === null) return;
  out.table(
    [{ title: '#' }, { title: 'RULE' }, { title: 'CAPABILITY' }, { title: 'BOUNDS', shrinks: true }],
    ruleRows(document),
  );
  if (document.appliesTo !== null) out.line(`For the operator ${document.appliesTo} only.`);
  const silent = silentCapabilities(document);
  if (silent.length > 0) out.line(`Not allowed by it, so blocked unless another policy does: ${silent.join(', ')}.`);
}
