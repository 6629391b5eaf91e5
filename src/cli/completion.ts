/** Scripts for shells, made of the commands there are. Pure. */
import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Place {
  /** Words that lead here; empty = the program itself. */
  readonly path: string;
  readonly words: readonly (readonly [word: string, about: string])[];
  readonly options: readonly (readonly [word: string, about: string, takesValue: boolean])[];
}

export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, '');
  return { bash: bash, zsh: zsh, fish: fish }[shell](places);
}

function placesOf(command: Command, path: string): readonly Place[] {
  const words = command.commands.flatMap((one) =>
    [one.name(), ...one.aliases()].map((name) => [name, one.description()] as const),
  );
  const options = command.options.flatMap((one) =>
    one.long == null ? [] : [[one.long, one.description, one.required || one.optional] as const],
  );
  const help = ['--help', 'what there is', false] as const;
  const below = command.commands.flatMap((one) =>
    [one.name(), ...one.aliases()].flatMap((name) => placesOf(one, path === '' ? name : `${path} ${name}`)),
  );
  return [{ path, words, options: [...options, help] }, ...below];
}

function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, words, options }) => {
    const all = [...words.map(([word]) => word), ...options.map(([word]) => word)].join(' ');
    return `    "${path}") words="${all}" ;;`;
  });
  return `# bash completion of fibric; put into a file that your shell reads:
#   fibric completion bash > ~/.local/share/bash-completion/completions/fibric
_fibric() {
  local word current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$word" in
      -*) break ;;
    esac
    case "\${path:+$path }$word" in
${knownPaths(places, 'path')}
      *) break ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _fibric fibric`;
}

/** `path` is the word for it that the shell does not use itself. */
function knownPaths(places: readonly Place[], variable: string): string {
  const paths = places.map(({ path }) => path).filter((path) => path !== '');
  return `      ${paths.map((path) => `"${path}"`).join('|')}) ${variable}="\${${variable}:+$${variable} }$word" ;;`;
}

function zsh(places: readonly Place[]): string {
  const cases = places.map(({ path, words, options }) => {
    const entry = (word: string, about: string): string => `'${quoted(`${word}:${about}`, "'\\''")}'`;
    const all = [...words.map(([w, a]) => entry(w, a)), ...options.map(([w, a]) => entry(w, a))].join(' ');
    return `    "${path}") entries=(${all}) ;;`;
  });
  return `#compdef fibric
# zsh completion of fibric; put into a folder of your fpath:
#   fibric completion zsh > ~/.zfunc/_fibric
_fibric() {
  local -a entries
  local path_="" word index
  for ((index = 2; index < CURRENT; index++)); do
    word="\${words[index]}"
    case "$word" in
      -*) break ;;
    esac
    case "\${path_:+$path_ }$word" in
${knownPaths(places, 'path_')}
      *) break ;;
    esac
  done
  case "$path_" in
${cases.join('\n')}
  esac
  if (( \${#entries} )); then _describe 'fibric' entries; else _files; fi
}
_fibric "$@"`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words, options }) => {
    const at = `'__fibric_at "${path}"'`;
    return [
      ...words.map(([word, about]) => `complete -c fibric -f -n ${at} -a '${word}' -d '${quoted(about, "\\'")}'`),
      ...options.map(
        ([word, about, takesValue]) =>
          `complete -c fibric -n ${at} -l '${word.slice(2)}' -d '${quoted(about, "\\'")}'${takesValue ? ' -r' : ''}`,
      ),
    ];
  });
  return `# fish completion of fibric; put into:
#   fibric completion fish > ~/.config/fish/completions/fibric.fish
function __fibric_at
  set -l words (commandline -opc)
  set -l path
  for word in $words[2..-1]
    string match -q -- '-*' $word; and break
    contains -- (string join ' ' $path $word) ${places.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`])).join(' ')}; or break
    set -a path $word
  end
  test (string join ' ' $path) = "$argv[1]"
end
${lines.join('\n')}`;
}

function quoted(text: string, quote: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll("'", quote);
}
