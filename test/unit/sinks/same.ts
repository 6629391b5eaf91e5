/** `expect(…).toBe(…)` for what is asked a million times: a matcher costs more than the step it watches. */
export function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: ${String(actual)} is not ${String(expected)}`);
}

export function holds(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}
