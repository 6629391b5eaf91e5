/** What `make up` started, so that `make down` stops that and nothing else. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, type OwnedProcess, startTime } from './owned-process.ts';
import { ROOT } from './versions.ts';
import { waitUntil } from './wait.ts';

/** Where a stack keeps itself: `.data/stack` of this project. */
export const STACK_FOLDER = join(ROOT, '.data', 'stack');

interface Addresses {
  readonly brokers: string;
  readonly registryUrl: string;
}

/** Null addresses: it was starting when this was written. */
export type StackState =
  | { readonly kind: 'native'; readonly addresses: Addresses | null; readonly processes: readonly OwnedProcess[] }
  | { readonly kind: 'docker'; readonly addresses: Addresses | null; readonly project: string };

/** The environment variables by which everything of ours finds the stack. */
export function envLines(addresses: Addresses): string {
  return `KAFKA_BROKERS=${addresses.brokers}\nSCHEMA_REGISTRY_URL=${addresses.registryUrl}\n`;
}

export class StateFile {
  readonly #folder: string;

  constructor(folder = STACK_FOLDER) {
    this.#folder = folder;
  }

  /** The file that bin/cn-kustomer reads. */
  get envFile(): string {
    return join(this.#folder, 'env');
  }

  /** Null when there is none, or one that cannot be read. */
  read(): StackState | null {
    try {
      return JSON.parse(readFileSync(join(this.#folder, 'state.json'), 'utf8')) as StackState;
    } catch {
      return null;
    }
  }

  /** Written whole or not at all. */
  write(state: StackState): void {
    mkdirSync(this.#folder, { recursive: true });
    const file = join(this.#folder, 'state.json');
    writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
    renameSync(`${file}.new`, file);
    if (state.addresses === null) rmSync(this.envFile, { force: true });
    else writeFileSync(this.envFile, envLines(state.addresses));
  }

  remove(): void {
    rmSync(join(this.#folder, 'state.json'), { force: true });
    rmSync(this.envFile, { force: true });
  }

  /** Runs `work` while no other `up` or `down` of this folder runs. A lock whose owner is gone is taken over. */
  async locked<T>(work: () => Promise<T>): Promise<T> {
    mkdirSync(this.#folder, { recursive: true });
    const file = join(this.#folder, 'lock');
    const mine = JSON.stringify({ pid: process.pid, startedAt: startTime(process.pid) });
    const take = async (): Promise<boolean> => {
      try {
        writeFileSync(file, mine, { flag: 'wx' });
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      if (!lockIsHeld(file)) rmSync(file, { force: true });
      return false;
    };
    await waitUntil(take, { what: 'the other make up or down of this folder', deadlineMs: 10 * 60_000 });
    try {
      return await work();
    } finally {
      rmSync(file, { force: true });
    }
  }
}

function lockIsHeld(file: string): boolean {
  try {
    return isAlive(JSON.parse(readFileSync(file, 'utf8')) as OwnedProcess);
  } catch {
    return false;
  }
}
