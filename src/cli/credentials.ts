/**
 * The credentials file: which API, and the token for it. Only its owner can read it, and it is replaced in one step, so
 * that nobody ever reads half of one. The token goes to the API it was given for and to no other.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '../base/secret.ts';
import { CliError } from './errors.ts';
import { EXIT } from './exit.ts';

export interface Credentials {
  readonly endpoint: string;
  readonly token: Secret;
}

const FILE = 'credentials';
const VERSION = 1;
const OTHERS_MAY = 0o077;

export function credentialsPath(home: string): string {
  return join(home, FILE);
}

/** Null when nobody is logged in. `warn` is told of a file that others can read. */
export async function loadCredentials(home: string, warn: (text: string) => void): Promise<Credentials | null> {
  const path = credentialsPath(home);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw new CliError('credentials_unreadable', `${path} cannot be read: ${codeOf(error)}`, {
      exitCode: EXIT.forbidden,
      hint: 'make it readable for you alone, or log in again with `fibric auth login`',
    });
  }
  const mode = (await stat(path)).mode & 0o777;
  if (process.platform !== 'win32' && (mode & OTHERS_MAY) !== 0) {
    warn(`warning: others can read ${path}; it is now yours alone, and a new token would be wise`);
    await chmod(path, 0o600).catch(() => undefined);
  }
  return parse(text, path);
}

function parse(text: string, path: string): Credentials {
  try {
    const { version, endpoint, token } = JSON.parse(text) as Record<string, unknown>;
    if (version === VERSION && typeof endpoint === 'string' && typeof token === 'string' && token !== '') {
      return { endpoint, token: new Secret(token) };
    }
  } catch {
    // Said below; the parser's own message would quote the file.
  }
  throw new CliError('credentials_unreadable', `${path} is damaged, or of another version of fibric`, {
    exitCode: EXIT.forbidden,
    hint: 'log in again with `fibric auth login`',
  });
}

export async function saveCredentials(home: string, { endpoint, token }: Credentials): Promise<string> {
  const path = credentialsPath(home);
  const next = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(home, { recursive: true, mode: 0o700 });
    const file = await open(next, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ version: VERSION, endpoint, token: token.reveal() })}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true }).catch(() => undefined);
    throw new CliError('credentials_unwritable', `${path} cannot be written: ${codeOf(error)}`, {
      hint: 'set FIBRIC_HOME to a folder of yours, or use FIBRIC_TOKEN without logging in',
    });
  }
  return path;
}

/** True when there was one. */
export async function removeCredentials(home: string): Promise<boolean> {
  try {
    await rm(credentialsPath(home));
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
