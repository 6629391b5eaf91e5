/**
 * YAML with its places: reads maps, lists and scalars out of a parsed source and notes what is wrong, instead of stopping
 * at the first. What YAML can do and a policy does not need (anchors, aliases, tags, several documents) is refused: it
 * only serves to hide what a rule says, or to make a small file large.
 */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { inOrder, type PolicyProblem, type ProblemCode, quoted, suggest } from './problems.ts';

/** A value at its place; `node` is null where nothing was written. */
export interface Value {
  readonly node: Node | null;
  readonly offset: number;
}

export type Fields = ReadonlyMap<string, Value>;

export interface Note {
  readonly code: ProblemCode;
  readonly problem: string;
  readonly remedy: string;
}

export class YamlSource {
  readonly root: Value;
  readonly #lines = new LineCounter();
  readonly #problems: PolicyProblem[] = [];
  readonly #isBroken: boolean;

  constructor(text: string) {
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      lineCounter: this.#lines,
      prettyErrors: false,
      // Found by `fields`, which can say which key and where it stood before.
      uniqueKeys: false,
      logLevel: 'error',
    });
    this.root = { node: document.contents, offset: document.contents?.range?.[0] ?? 0 };
    const faults = [...document.errors, ...document.warnings].filter(({ code }) => code !== 'TAG_RESOLVE_FAILED');
    const tooDeep = faults.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
    for (const { code, message, pos } of tooDeep === undefined ? faults : [tooDeep]) {
      this.note(pos[0], { code: 'syntax', ...syntaxNote(code, message) });
    }
    this.#isBroken = this.#problems.length > 0;
    visit(document, {
      Node: (_, node) => this.#refuseTricks(node),
    });
  }

  get problems(): readonly PolicyProblem[] {
    return inOrder(this.#problems);
  }

  note(offset: number, note: Note): void {
    const { line, col } = this.#lines.linePos(offset);
    this.#problems.push({ ...note, line: Math.max(1, line), column: Math.max(1, col) });
  }

  /** Something that should be there. Not said of a source that is no YAML: it may stand behind the break. */
  noteMissing(offset: number, note: Omit<Note, 'code'>): void {
    if (!this.#isBroken) this.note(offset, { code: 'missing_key', ...note });
  }

  /** The keys of a map as they stand there, known or not. */
  keysOf({ node }: Value): readonly string[] {
    return isMap(node) ? node.items.flatMap(({ key }) => (isScalar(key) ? [String(key.value)] : [])) : [];
  }

  lineOf({ offset }: Value): number {
    return this.#lines.linePos(offset).line;
  }

  /** The fields of a map; unknown and repeated keys are noted and left out. Null, and noted, for what is no map. */
  fields(value: Value, what: string, known: readonly string[]): Fields | null {
    if (isAlias(value.node)) return null;
    if (!isMap(value.node)) {
      this.wrongType(value, what, `a map with the keys ${known.join(', ')}`);
      return null;
    }
    const fields = new Map<string, Value>();
    for (const { key, value: given } of value.node.items) {
      const offset = isNode(key) ? (key.range?.[0] ?? value.offset) : value.offset;
      const name = isScalar(key) ? String(key.value) : null;
      const first = name === null ? undefined : fields.get(name);
      if (name === null || !known.includes(name)) {
        const problem = `unknown key ${name === null ? 'that is no text' : quoted(name)} in ${what}`;
        this.note(offset, { code: 'unknown_key', problem, remedy: suggest(name ?? '', known) });
      } else if (first !== undefined) {
        const problem = `the key ${name} stands here again, first in line ${this.lineOf(first)}`;
        this.note(offset, { code: 'duplicate_key', problem, remedy: 'keep one of them' });
      } else {
        // A key without a value is itself the best place to point at.
        const node = isNode(given) ? given : null;
        const isEmpty = node === null || (isScalar(node) && node.value === null && node.range?.[0] === node.range?.[1]);
        fields.set(name, { node, offset: isEmpty ? offset : (node?.range?.[0] ?? offset) });
      }
    }
    return fields;
  }

  /** The entries of a list. Null, and noted, for what is no list. */
  entries(value: Value, what: string): readonly Value[] | null {
    if (isAlias(value.node)) return null;
    if (!isSeq(value.node)) {
      this.wrongType(value, what, 'a list, each entry beginning with a dash');
      return null;
    }
    return value.node.items.map((item) => {
      const node = isNode(item) ? item : null;
      return { node, offset: node?.range?.[0] ?? value.offset };
    });
  }

  /** Text, as it is. Null, and noted, for everything else. */
  text(value: Value, what: string, remedy: string): string | null {
    if (isAlias(value.node)) return null;
    if (isScalar(value.node) && typeof value.node.value === 'string') return value.node.value;
    this.wrongType(value, what, remedy);
    return null;
  }

  /** A finite number. Null, and noted, for everything else. */
  number(value: Value, what: string, remedy: string): number | null {
    if (isAlias(value.node)) return null;
    if (isScalar(value.node) && typeof value.node.value === 'number' && Number.isFinite(value.node.value)) {
      return value.node.value;
    }
    const isText = isScalar(value.node) && typeof value.node.value === 'string' && /^\d/.test(value.node.value);
    this.wrongType(value, what, isText ? `${remedy}, without quotes or a unit` : remedy);
    return null;
  }

  wrongType(value: Value, what: string, wanted: string): void {
    this.note(value.offset, {
      code: 'wrong_type',
      problem: `${what} is ${describe(value.node)}`,
      remedy: `write ${wanted}`,
    });
  }

  #refuseTricks(node: Node): void {
    const offset = node.range?.[0] ?? 0;
    if (isAlias(node)) {
      const problem = `the alias *${node.source.slice(0, 60)} stands for something written elsewhere`;
      this.note(offset, { code: 'alias', problem, remedy: 'write it out' });
      return;
    }
    if (node.anchor !== undefined) {
      const problem = `the anchor &${node.anchor.slice(0, 60)} is of no use: aliases are not read`;
      this.note(offset, { code: 'alias', problem, remedy: 'remove it' });
    }
    if (node.tag !== undefined) {
      const tag = node.tag.replace('tag:yaml.org,2002:', '!!').slice(0, 60);
      const problem = `the tag ${tag} is not read`;
      this.note(offset, { code: 'tag', problem, remedy: 'remove it' });
    }
  }
}

function syntaxNote(code: string, message: string): Omit<Note, 'code'> {
  switch (code) {
    case 'MULTIPLE_DOCS':
      return { problem: 'a second YAML document begins here', remedy: 'put each policy into a file of its own' };
    case 'RESOURCE_EXHAUSTION':
      return { problem: 'this is nested too deep to be read', remedy: 'write the rules as a plain list' };
    default:
      return {
        problem: `not YAML: ${message.split('\n')[0]}`,
        remedy: 'mend the indentation, quotes or brackets here or just before',
      };
  }
}

function describe(node: Node | null): string {
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  const value = isScalar(node) ? node.value : null;
  if (value === null || value === '') return 'empty';
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  return String(value);
}
