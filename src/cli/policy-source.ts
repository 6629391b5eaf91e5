/** A policy's text as a person wrote it: checked without asking anybody, and what is wrong shown in its place. Pure. */
import { CAPABILITIES, WRITE_CAPABILITIES } from '../fibric/policy/capabilities.ts';
import type { PolicyDocument, PolicyRule } from '../fibric/policy/document.ts';
import { parsePolicy } from '../fibric/policy/parse.ts';
import type { Problem } from './errors.ts';
import { displayWidth, truncate } from './terminal/width.ts';

/** Null where the text is a valid policy. */
export function policyProblems(text: string): readonly Problem[] | null {
  const parsed = parsePolicy(text, CAPABILITIES);
  if (parsed.ok) return null;
  return parsed.problems.map(({ code, line, column, problem, remedy }) => ({
    code,
    line,
    column,
    message: problem,
    remedy,
  }));
}

export function readPolicy(text: string): PolicyDocument | null {
  const parsed = parsePolicy(text, CAPABILITIES);
  return parsed.ok ? parsed.document : null;
}

/** Each problem with the line it stands in, and a mark under the place. */
export function showProblems(text: string, file: string, problems: readonly Problem[]): readonly string[] {
  const lines = text.split(/\r\n|\n|\r/);
  return problems.flatMap(({ line, column, message, remedy, field }) => {
    const what = `${message ?? 'not valid'}${remedy === undefined ? '' : `; ${remedy}`}`;
    if (line === undefined || column === undefined) return [`${file}: ${field == null ? '' : `${field}: `}${what}`];
    const source = (lines[line - 1] ?? '').replaceAll('\t', ' ');
    const number = String(line);
    return [
      `${file}:${line}:${column}: ${what}`,
      `  ${number} | ${truncate(source, 160)}`,
      `  ${' '.repeat(number.length)} | ${' '.repeat(displayWidth(source.slice(0, column - 1)))}^`,
    ];
  });
}

/** One way of writing for all that mean the same: for comparing a file with what is in force. */
export function renderPolicy({ name, appliesTo, rules }: PolicyDocument): string {
  const lines = [`policy: ${name}`, ...(appliesTo === null ? [] : [`applies_to: ${appliesTo}`]), 'rules:'];
  for (const rule of rules) lines.push(...renderRule(rule));
  return [...lines, 'default: deny'].join('\n');
}

function renderRule({ kind, capability, limit, singleFlight, maxValue }: PolicyRule): readonly string[] {
  return [
    `  - ${kind}: ${capability}`,
    ...(limit === null ? [] : ['    limit:', `      per: ${limit.per}`, `      max: ${limit.max}`]),
    ...(singleFlight === null ? [] : [`    single_flight: ${singleFlight}`]),
    ...(maxValue === null ? [] : [`    max_value: ${maxValue}`]),
  ];
}

/** Rules in a sentence each, for tables. */
export function ruleRows({ rules }: PolicyDocument): readonly (readonly string[])[] {
  return rules.map(({ kind, capability, limit, singleFlight, maxValue }, index) => [
    String(index + 1),
    kind,
    capability,
    [
      ...(limit === null ? [] : [`${limit.max} per ${limit.per}`]),
      ...(singleFlight === null ? [] : [`one in flight per ${singleFlight}`]),
      ...(maxValue === null ? [] : [`value at most ${maxValue}`]),
    ].join(', ') || '-',
  ]);
}

/** Writes that this policy says nothing about: without another policy they are blocked. */
export function silentCapabilities({ rules }: PolicyDocument): readonly string[] {
  const named = new Set(rules.map(({ capability }) => capability));
  return WRITE_CAPABILITIES.map(({ name }) => name).filter((name) => !named.has(name));
}
