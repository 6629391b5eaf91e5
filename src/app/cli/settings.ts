/** `cn-kustomer settings`: every setting, its value, and where it comes from; secrets only as set or unset. */
import { SETTINGS } from '../settings.ts';
import type { AddCommand } from './add-command.ts';

export const addSettings: AddCommand = (program, context) => {
  program
    .command('settings')
    .description('list every setting with its present value')
    .action(() => {
      context.settings(); // reports what is wrong, all at once
      const names = Object.values(SETTINGS).map((row) => row.env.length);
      const width = Math.max(...names);
      for (const row of Object.values(SETTINGS)) {
        const given = context.env[row.env];
        const isSet = given !== undefined && given !== '';
        const value = 'secret' in row ? (isSet ? '(set)' : '(unset)') : isSet ? given : (row.fallback ?? '(unset)');
        context.print(
          `${row.env.padEnd(width)}  ${value}${isSet ? '' : '  [default]'}\n${' '.repeat(width)}  ${row.doc}`,
        );
      }
    });
};
