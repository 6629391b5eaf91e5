/** Writes docs/reference/*.md from the tables in the code. A test fails when a page and its table differ. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { referencePages } from '../src/app/reference.ts';

const folder = new URL('../docs/reference/', import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [file, text] of Object.entries(referencePages())) writeFileSync(new URL(file, folder), text);
