/**
 * A policy's YAML, checked. Everything that is wrong is told at once, each with its place and what to do: a policy is
 * written by hand, and one round for each mistake would teach people to loosen rules until it passes.
 */
import type { KnownCapability } from './capabilities.ts';
import {
  MAX_LIMIT,
  MAX_NAME_LENGTH,
  MAX_SOURCE_BYTES,
  type PolicyDocument,
  type PolicyRule,
  RULE_KINDS,
  type RuleKind,
  type RuleLimit,
  WINDOW_UNITS,
  type WindowUnit,
} from './document.ts';
import { nearest, type PolicyProblem, quoted, suggest } from './problems.ts';
import { type Fields, type Value, YamlSource } from './yaml-source.ts';

export type ParsedPolicy =
  | { readonly ok: true; readonly document: PolicyDocument }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

const POLICY_KEYS = ['policy', 'applies_to', 'rules', 'default'];
const RULE_KEYS = [...RULE_KINDS, 'limit', 'single_flight', 'max_value'];
const LIMIT_KEYS = ['per', 'max'];
const SLUG = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
/** Operators are named like this wherever they are named. */
export const OPERATOR = /^[A-Za-z0-9][A-Za-z0-9._:-]*$/;

/** Only what names one of `capabilities` is valid. Total: no text makes it throw. */
export function parsePolicy(text: string, capabilities: readonly KnownCapability[]): ParsedPolicy {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_SOURCE_BYTES) {
    const problem = `the file has ${bytes} bytes, more than the ${MAX_SOURCE_BYTES} a policy may have`;
    return {
      ok: false,
      problems: [{ code: 'too_large', line: 1, column: 1, problem, remedy: 'divide it into several policies' }],
    };
  }
  const source = new YamlSource(text);
  const document = new PolicyReader(source, capabilities).read();
  const { problems } = source;
  return problems.length > 0 || document === null ? { ok: false, problems } : { ok: true, document };
}

/** Reads on after what is wrong; what it returns counts only if nothing was. */
class PolicyReader {
  readonly #source: YamlSource;
  readonly #capabilities: ReadonlyMap<string, KnownCapability>;

  constructor(source: YamlSource, capabilities: readonly KnownCapability[]) {
    this.#source = source;
    this.#capabilities = new Map(capabilities.map((capability) => [capability.name, capability]));
  }

  read(): PolicyDocument | null {
    const { root } = this.#source;
    const fields = this.#source.fields(root, 'the file', POLICY_KEYS);
    if (fields === null) return null;
    const name = this.#required(root, fields, 'policy', 'add policy: with its name, such as support-writes');
    const rules = this.#required(root, fields, 'rules', 'add rules: with a list of what is allowed');
    const fallback = this.#required(root, fields, 'default', 'add default: deny');
    const appliesTo = fields.get('applies_to');
    if (fallback !== undefined) this.#readDefault(fallback);
    const document = {
      name: name === undefined ? null : this.#readName(name),
      appliesTo: appliesTo === undefined ? null : this.#readOperator(appliesTo),
      rules: rules === undefined ? null : this.#readRules(rules),
    };
    return document.name === null || document.rules === null
      ? null
      : { name: document.name, appliesTo: document.appliesTo, rules: document.rules };
  }

  #required(of: Value, fields: Fields, key: string, remedy: string): Value | undefined {
    const value = fields.get(key);
    if (value === undefined) this.#source.noteMissing(of.offset, { problem: `the key ${key} is missing`, remedy });
    return value;
  }

  #readName(value: Value): string | null {
    const remedy = 'a name of lower-case letters, digits and single hyphens, such as support-writes';
    const name = this.#source.text(value, 'policy', remedy);
    if (name === null) return null;
    if (SLUG.test(name) && name.length <= MAX_NAME_LENGTH) return name;
    const problem = `the policy's name ${quoted(name)} is no slug of at most ${MAX_NAME_LENGTH} characters`;
    this.#source.note(value.offset, { code: 'out_of_range', problem, remedy: `write ${remedy}` });
    return null;
  }

  #readOperator(value: Value): string | null {
    const remedy = "one operator's name, or leave applies_to out to govern all of them";
    const operator = this.#source.text(value, 'applies_to', remedy);
    if (operator === null) return null;
    if (OPERATOR.test(operator) && operator.length <= MAX_NAME_LENGTH) return operator;
    const problem = `${quoted(operator)} is no operator's name`;
    this.#source.note(value.offset, { code: 'out_of_range', problem, remedy: `write ${remedy}` });
    return null;
  }

  #readDefault(value: Value): void {
    const fallback = this.#source.text(value, 'default', 'default: deny');
    if (fallback === null || fallback === 'deny') return;
    const problem = `the default is ${quoted(fallback)}, but what no rule allows is always denied`;
    this.#source.note(value.offset, {
      code: 'default_not_deny',
      problem,
      remedy: 'write default: deny and add an allow rule for each capability that is wanted',
    });
  }

  #readRules(value: Value): readonly PolicyRule[] | null {
    const entries = this.#source.entries(value, 'rules');
    if (entries === null) return null;
    if (entries.length === 0) {
      const problem = 'the list of rules is empty';
      this.#source.note(value.offset, {
        code: 'out_of_range',
        problem,
        remedy: 'add a rule; to close everything, disable or delete the policy instead',
      });
    }
    const rules: PolicyRule[] = [];
    const seen = new Map<string, Value>();
    for (const entry of entries) {
      const rule = this.#readRule(entry);
      if (rule === null) continue;
      const key = `${rule.kind} ${rule.capability}`;
      const first = seen.get(key);
      if (first === undefined) seen.set(key, entry);
      else {
        const problem = `a second rule ${rule.kind}: ${rule.capability}, the first is in line ${this.#source.lineOf(first)}`;
        this.#source.note(entry.offset, {
          code: 'duplicate_rule',
          problem,
          remedy: 'merge them, or put the second into a policy of its own: both then have to hold',
        });
      }
      rules.push(rule);
    }
    return rules;
  }

  #readRule(entry: Value): PolicyRule | null {
    const fields = this.#source.fields(entry, 'a rule', RULE_KEYS);
    if (fields === null) return null;
    const kinds = RULE_KINDS.filter((kind) => fields.has(kind));
    const [kind, other] = kinds;
    if (kind === undefined) this.#noteNoKind(entry);
    if (other !== undefined) {
      this.#source.note((fields.get(other) as Value).offset, {
        code: 'rule_kind',
        problem: `a rule is one of ${RULE_KINDS.join(', ')}; this is ${kinds.join(' and ')}`,
        remedy: 'write each as a rule of its own, with its own dash',
      });
    }
    const named = kinds.map((one) => this.#readCapability(fields.get(one) as Value, one));
    const capability = named[0] ?? null;
    if (kind === 'deny' && other === undefined) this.#refuseConstraints(fields);
    const limit = fields.get('limit');
    const flight = fields.get('single_flight');
    const ceiling = fields.get('max_value');
    const constraints = {
      limit: limit === undefined ? null : this.#readLimit(limit),
      singleFlight: flight === undefined ? null : this.#readFlight(flight, capability),
      maxValue: ceiling === undefined ? null : this.#readCeiling(ceiling),
    };
    return kind === undefined || capability === null ? null : { kind, capability: capability.name, ...constraints };
  }

  #noteNoKind(entry: Value): void {
    // A misspelt kind has been told already, as an unknown key.
    const unknown = this.#source.keysOf(entry).filter((key) => !RULE_KEYS.includes(key));
    if (unknown.some((key) => RULE_KINDS.some((kind) => kind === nearest(key, RULE_KEYS)))) return;
    this.#source.noteMissing(entry.offset, {
      problem: 'this rule neither allows nor denies anything',
      remedy: `begin it with one of ${RULE_KINDS.map((kind) => `${kind}:`).join(', ')} and a capability`,
    });
  }

  #readCapability(value: Value, kind: RuleKind): KnownCapability | null {
    const known = [...this.#capabilities.keys()];
    const name = this.#source.text(value, kind, `one of ${known.join(', ')}`);
    if (name === null) return null;
    const capability = this.#capabilities.get(name);
    if (capability === undefined) {
      const problem = `unknown capability ${quoted(name)}`;
      this.#source.note(value.offset, { code: 'unknown_capability', problem, remedy: suggest(name, known) });
    }
    return capability ?? null;
  }

  /** A denial with a limit reads as if it denied only sometimes. */
  #refuseConstraints(fields: Fields): void {
    for (const key of ['limit', 'single_flight', 'max_value']) {
      const value = fields.get(key);
      if (value === undefined) continue;
      const problem = `a deny rule takes no ${key}: it always denies`;
      this.#source.note(value.offset, { code: 'rule_kind', problem, remedy: 'remove it, or allow with it' });
    }
  }

  #readLimit(value: Value): RuleLimit | null {
    const fields = this.#source.fields(value, 'limit', LIMIT_KEYS);
    if (fields === null) return null;
    const per = this.#required(value, fields, 'per', `add per: with one of ${WINDOW_UNITS.join(', ')}`);
    const max = this.#required(value, fields, 'max', 'add max: with the most that are allowed in that time');
    const unit = per === undefined ? null : this.#readUnit(per);
    const most = max === undefined ? null : this.#readMost(max);
    return unit === null || most === null ? null : { per: unit, max: most };
  }

  #readUnit(value: Value): WindowUnit | null {
    const written = this.#source.text(value, 'per', `one of ${WINDOW_UNITS.join(', ')}`);
    if (written === null) return null;
    const unit = WINDOW_UNITS.find((known) => known === written);
    if (unit === undefined) {
      const problem = `a limit cannot be per ${quoted(written)}`;
      this.#source.note(value.offset, { code: 'out_of_range', problem, remedy: suggest(written, WINDOW_UNITS) });
    }
    return unit ?? null;
  }

  #readMost(value: Value): number | null {
    const remedy = `a whole number from 1 to ${MAX_LIMIT}`;
    const max = this.#source.number(value, 'max', remedy);
    if (max === null) return null;
    if (Number.isInteger(max) && max >= 1 && max <= MAX_LIMIT) return max;
    this.#source.note(value.offset, {
      code: 'out_of_range',
      problem: `max is ${max}`,
      remedy: max === 0 ? 'write a deny rule to allow none' : `write ${remedy}`,
    });
    return null;
  }

  #readFlight(value: Value, capability: KnownCapability | null): string | null {
    const fields = capability?.flightFields ?? [];
    const field = this.#source.text(value, 'single_flight', 'the name of an argument, such as conversation_id');
    if (field === null || capability === null || fields.includes(field)) return field;
    const problem = `${capability.name} cannot be kept to one in flight per ${quoted(field)}`;
    const remedy = fields.length === 0 ? 'remove it' : suggest(field, fields);
    this.#source.note(value.offset, { code: 'unknown_field', problem, remedy });
    return null;
  }

  #readCeiling(value: Value): number | null {
    const ceiling = this.#source.number(value, 'max_value', 'a number, 0 or more');
    if (ceiling === null || ceiling >= 0) return ceiling;
    const problem = `max_value is ${ceiling}, and no value is below 0`;
    this.#source.note(value.offset, { code: 'out_of_range', problem, remedy: 'write a number, 0 or more' });
    return null;
  }
}
