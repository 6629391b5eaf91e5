/** What documents say can be typed, held against the command lines there are. */
import type { Command } from 'commander';

/** Code as a reader would copy it: fenced blocks, and `such spans`. Lines broken with a backslash are one. */
export function codeIn(text: string): readonly string[] {
  const fences = [...text.matchAll(/^ *```[a-z]*\n([\s\S]*?)^ *```$/gm)].map(([, code]) => code as string);
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code as string);
  return [
    ...fences.flatMap((code) =>
      code
        .trimEnd()
        .replaceAll(/\s*\\\n\s*/g, ' ')
        .split('\n'),
    ),
    ...spans,
  ];
}

export type Commands = ReadonlyMap<string, Command>;

/** By path, such as `connection add`. */
export function commandsOf(program: Command): Commands {
  return new Map(commandsBelow(program, ''));
}

function commandsBelow(command: Command, path: string): readonly (readonly [path: string, command: Command])[] {
  return command.commands.flatMap((one) => {
    const at = `${path}${one.name()}`;
    return [[at, one] as const, ...commandsBelow(one, `${at} `)];
  });
}

/** The longest command these words begin with: `connection add`, or `topics`. Undefined: they begin with none. */
function commandOf(
  commands: Commands,
  words: readonly string[],
): readonly [path: string, command: Command] | undefined {
  for (const path of [3, 2, 1].map((length) => words.slice(0, length).join(' '))) {
    const command = commands.get(path);
    if (command !== undefined) return [path, command];
  }
  return undefined;
}

/** What is wrong with each call of the program in the code: a command that does not exist, or an option it does not take. */
export function wrongCommands(program: string, commands: Commands, code: readonly string[]): readonly string[] {
  // Words stand one space apart; what comes after more than one is a column of a table.
  const call = new RegExp(String.raw`(?:^|[\s/;&|(])${program}((?: [^\s|;&#>]+)*)`, 'g');
  const calls = code.flatMap((line) => [...line.matchAll(call)]);
  return calls.flatMap(([, rest]) => {
    const words = (rest ?? '').trim().split(' ');
    if (!/^[a-z]/.test(words[0] ?? '')) return [];
    const found = commandOf(commands, words);
    if (found === undefined) return [`no command ${words[0]}`];
    const [path, command] = found;
    const below = words[path.split(' ').length] ?? '';
    if (command.commands.length > 0 && /^[a-z]/.test(below)) return [`no command ${path} ${below}`];
    const known = ['--help', ...command.options.map((option) => option.long ?? '')];
    return words.filter((word) => /^--[a-z]/.test(word) && !known.includes(word)).map((word) => `${path} ${word}`);
  });
}
