/** Part of `make check`: names every import that crosses a wall, and fails if there is one. */
import { allViolations } from './boundaries.ts';

const found = allViolations();
for (const problem of found) process.stderr.write(`${problem}\n`);
if (found.length > 0) process.exitCode = 1;
