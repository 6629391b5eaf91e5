import type { Command } from 'commander';
import type { CliContext } from './io.ts';

/** How a command adds itself: `finish` sets an exit code other than 0. */
export type AddCommand = (program: Command, context: CliContext, finish: (code: number) => void) => void;
