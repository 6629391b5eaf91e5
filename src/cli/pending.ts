/** An action that was published and has no receipt yet: it waits for a person, or for its turn. */
import type { Approval } from './api-types.ts';
import { CliError } from './errors.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { ApiClient } from './http/client.ts';
import { fetchList } from './pages.ts';

export interface Unsettled {
  readonly approval: Approval | null;
  readonly exitCode: ExitCode;
  /** What it waits for, and what to do. */
  readonly lines: readonly string[];
}

export function lookUp(key: string): string {
  return `fibric receipts ls --key '${key}'`;
}

export interface Told {
  readonly status?: string;
  readonly approval_id?: string | null;
}

/** `told` is what the API said of it; where that is not enough the approvals are looked through. */
export async function unsettled(client: ApiClient, key: string, told: Told = {}): Promise<Unsettled> {
  if (told.status === 'parked') {
    return {
      approval: null,
      exitCode: EXIT.writeFailed,
      lines: [
        'Nobody knows whether it happened: it is parked.',
        'next: look at Kustomer, then `fibric receipts parked` and `fibric receipts resolve`',
      ],
    };
  }
  const approval = told.approval_id == null ? await approvalOf(client, key) : { id: told.approval_id };
  if (approval === null) {
    return { approval, exitCode: EXIT.writeFailed, lines: ['Sent; it has no receipt yet.', `next: ${lookUp(key)}`] };
  }
  const { id } = approval;
  return {
    approval,
    exitCode: EXIT.waiting,
    lines: [
      `ALERT: it waits for approval ${id}.`,
      `next: fibric approvals approve ${id}, or fibric approvals reject ${id}`,
    ],
  };
}

/** Null also where the token may not look. */
async function approvalOf(client: ApiClient, key: string): Promise<Approval | null> {
  try {
    const { data } = await fetchList<Approval>(client, '/approvals', {}, { limit: '1000' });
    return data.find(({ idempotency_key }) => idempotency_key === key) ?? null;
  } catch (error) {
    if (error instanceof CliError && error.code !== 'interrupted') return null;
    throw error;
  }
}
