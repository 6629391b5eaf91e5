/** Where master keys come from: a file or the environment, one or more keys, the first of which seals. */
import { readFile } from 'node:fs/promises';
import { CodedError } from '../../base/errors.ts';

export const MASTER_KEY_BYTES = 32;

export interface MasterKeyEnvironment {
  readonly CN_MASTER_KEY_FILE?: string | undefined;
  readonly CN_MASTER_KEY?: string | undefined;
}

/** The file wins over the variable. Throws `config_invalid`; no message ever quotes what was found. */
export async function loadMasterKeys(env: MasterKeyEnvironment): Promise<readonly Buffer[]> {
  const file = env.CN_MASTER_KEY_FILE;
  if (file) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new CodedError('config_invalid', `CN_MASTER_KEY_FILE cannot be read (${error.code})`, { file });
    });
    return parseMasterKeys(text, 'CN_MASTER_KEY_FILE');
  }
  if (env.CN_MASTER_KEY) return parseMasterKeys(env.CN_MASTER_KEY, 'CN_MASTER_KEY');
  throw new CodedError(
    'config_invalid',
    'no master key: set CN_MASTER_KEY_FILE or CN_MASTER_KEY (openssl rand -hex 32)',
  );
}

/** Keys in hex or base64 (also URL-safe), separated by white space or commas, newest first. */
export function parseMasterKeys(text: string, from: string): readonly Buffer[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) throw new CodedError('config_invalid', `${from} holds no key`);
  return words.map((word, index) => {
    const key = decodeKey(word);
    if (key?.length === MASTER_KEY_BYTES) return key;
    const found = key === undefined ? 'is neither hex nor base64' : `is ${key.length} bytes long`;
    throw new CodedError('config_invalid', `${from}: key ${index + 1} ${found}; ${MASTER_KEY_BYTES} bytes are needed`);
  });
}

/** Hex first: 64 hex digits are also base64, of 48 bytes, which no one means. */
function decodeKey(word: string): Buffer | undefined {
  if (/^(?:[0-9a-fA-F]{2})+$/.test(word)) return Buffer.from(word, 'hex');
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(word)) return Buffer.from(word, 'base64');
  return undefined;
}
