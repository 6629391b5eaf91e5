/** `fibric policy diff`: a file against what is in force, or one version against another. */
import type { Command } from 'commander';
import { type Call, type Cli, leaf, option } from '../command.ts';
import { usageError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { type DiffLine, diffLines } from '../line-diff.ts';
import { readPolicy, renderPolicy } from '../policy-source.ts';
import { readText } from '../text-file.ts';
import { fetchPolicy } from './policy.ts';

interface DiffOptions {
  readonly from?: string;
  readonly to?: string;
}

export function addPolicyDiff(policy: Command, cli: Cli): void {
  leaf<DiffOptions>(cli, policy, {
    usage: 'diff <name-or-file>',
    about: 'what a file would change, or what changed between two versions; exit code 3 where they differ.',
    options: [
      option('--from <n>', 'of a name: this version (default: the one before)'),
      option('--to <n>', 'of a name: against this version (default: the newest)'),
    ],
    examples: ['fibric policy diff ./policy.yaml', 'fibric policy diff support-writes --from 1 --to 3'],
    run: (call, options, what) =>
      /[./]/.test(what as string) || what === '-'
        ? diffFile(call, options, what as string)
        : diffVersions(call, options, what as string),
  });
}

async function diffFile(call: Call, { from, to }: DiffOptions, path: string): Promise<ExitCode> {
  if (from !== undefined || to !== undefined)
    throw usageError('--from and --to compare versions of a name, not a file');
  const text = await readText(call.context, path);
  const document = readPolicy(text);
  if (document === null) throw usageError(`${path} is no valid policy`, `\`fibric policy validate ${path}\` shows why`);
  const now = await fetchPolicy(await call.api(), document.name);
  return show(call, `${now.name} version ${now.version}`, path, now.document ?? '', text);
}

async function diffVersions(call: Call, { from, to }: DiffOptions, name: string): Promise<ExitCode> {
  const client = await call.api();
  const after = await fetchPolicy(client, name, to);
  if (from === undefined && after.version <= 1) {
    throw usageError(
      `${name} has no version before ${after.version}`,
      'compare a file with it: fibric policy diff ./policy.yaml',
    );
  }
  const before = await fetchPolicy(client, name, from ?? String(after.version - 1));
  const title = (version: number): string => `${name} version ${version}`;
  return show(call, title(before.version), title(after.version), before.document ?? '', after.document ?? '');
}

function show({ out }: Call, fromTitle: string, toTitle: string, from: string, to: string): ExitCode {
  const lines = diffLines(canonical(from), canonical(to));
  const differs = lines.some(({ sign }) => sign !== ' ');
  out.result({ object: 'policy_diff', from: fromTitle, to: toTitle, differs, lines }, () => {
    if (!differs) return out.line(`${fromTitle} and ${toTitle} say the same.`);
    out.line(out.paint('bad', `--- ${fromTitle}`));
    out.line(out.paint('good', `+++ ${toTitle}`));
    for (const line of lines) out.line(out.paint(styleOfLine(line), `${line.sign}${line.text}`));
  });
  return differs ? EXIT.notFound : EXIT.ok;
}

/** Comments, quotes and indentation are no difference. */
function canonical(text: string): string {
  const document = readPolicy(text);
  return document === null ? text.trimEnd() : renderPolicy(document);
}

function styleOfLine({ sign }: DiffLine): 'plain' | 'bad' | 'good' {
  return sign === '-' ? 'bad' : sign === '+' ? 'good' : 'plain';
}
