/** `fibric completion`: the shell's help with the words. */
import { Argument, type Command } from 'commander';
import { type Cli, leaf } from '../command.ts';
import { completionScript, SHELLS, type Shell } from '../completion.ts';

export function addCompletion(program: Command, cli: Cli): void {
  leaf(cli, program, {
    usage: 'completion',
    about: 'a script that completes commands and options.',
    examples: [
      'fibric completion bash > ~/.local/share/bash-completion/completions/fibric',
      'fibric completion zsh > ~/.zfunc/_fibric',
      'fibric completion fish > ~/.config/fish/completions/fibric.fish',
    ],
    run: async ({ out }, _options, shell) => {
      const script = completionScript(program, shell as Shell);
      out.result({ shell, script }, () => out.line(script));
    },
  }).addArgument(new Argument('<shell>', 'which shell').choices([...SHELLS]));
}
