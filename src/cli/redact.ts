/**
 * The last wall between secrets and the terminal: everything this process writes passes through here. The first wall is
 * that no command prints one. What a server, a proxy or a library repeats of what was sent stops at this one.
 */

const MARK = '[secret]';
/** Shorter than any key: replacing "abc" everywhere would only spoil the output. */
const MIN_LENGTH = 8;

export class Redactor {
  readonly #secrets = new Set<string>();

  add(secret: string): void {
    if (secret.length < MIN_LENGTH) return;
    this.#secrets.add(secret);
    // As it stands within JSON.
    this.#secrets.add(JSON.stringify(secret).slice(1, -1));
  }

  apply(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, MARK);
    return clean;
  }
}
