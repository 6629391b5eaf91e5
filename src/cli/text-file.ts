/** A file of the user's as text; `-` is stdin. */
import { readFile } from 'node:fs/promises';
import type { CliContext } from './context.ts';
import { CliError, usageError } from './errors.ts';
import { EXIT } from './exit.ts';

const MAX_BYTES = 1024 * 1024;

export async function readText(context: CliContext, path: string): Promise<string> {
  const bytes = path === '-' ? await readStdin(context) : await readPath(path);
  if (bytes.length > MAX_BYTES) throw usageError(`${path} is larger than ${MAX_BYTES / 1024} KiB`);
  return bytes.toString('utf8');
}

async function readPath(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new CliError('file_unreadable', `${path} cannot be read: ${code}`, {
      exitCode: EXIT.usage,
      hint: code === 'ENOENT' ? 'is the path right, seen from this folder?' : null,
    });
  }
}

async function readStdin({ stdin }: CliContext): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk as Buffer | string);
    bytes += part.length;
    if (bytes > MAX_BYTES) break;
    chunks.push(part);
  }
  return Buffer.concat(chunks);
}
