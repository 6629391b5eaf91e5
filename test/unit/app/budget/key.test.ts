import { expect, it } from 'vitest';
import { budgetKeyOf } from '../../../../src/app/budget/index.ts';

it.each([
  ['the subdomain', 'acme', null, 'org/acme'],
  ['whatever its case', 'Acme', null, 'org/acme'],
  ["a pod's host is the same organisation", 'acme', 'https://acme.api.prod2.kustomerapp.com', 'org/acme'],
  ['a host that only looks like it is not', 'acme', 'https://evilkustomerapp.com', 'org/acme@evilkustomerapp.com'],
  ['a simulator has organisations of its own', 'acme', 'http://127.0.0.1:4010', 'org/acme@127.0.0.1:4010'],
])('budgetKeyOf: %s', (_name, subdomain, apiBaseUrl, key) => {
  expect(budgetKeyOf({ subdomain, apiBaseUrl })).toBe(key);
});
