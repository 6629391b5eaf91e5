import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { referencePages } from '../../../src/app/reference.ts';

test.each(Object.entries(referencePages()))('docs/reference/%s says what the code says', (file, text) => {
  const page = new URL(`../../../docs/reference/${file}`, import.meta.url);
  expect(existsSync(page) && readFileSync(page, 'utf8'), 'run: node scripts/generate-docs.ts').toBe(text);
});
