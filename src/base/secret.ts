import { inspect } from 'node:util';

/**
 * A value that does not print itself. Logging, JSON and template strings of an object that holds one show a mark
 * instead; only `reveal` gives the text, so every use of a secret can be found by that word.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
