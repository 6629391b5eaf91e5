/** `fibric read …`: the read capabilities. */
import type { Command } from 'commander';
import { type Cli, group, leaf, option } from '../command.ts';
import { connectionOf } from '../connection-ref.ts';
import { showDocument } from '../record-text.ts';

interface ReadOptions {
  readonly connection?: string;
  readonly operator?: string;
}

export function addRead(program: Command, cli: Cli): void {
  const read = group(program, 'read', 'look something up through a connection; nothing is changed.');
  addOne(read, cli, 'conversation', 'a conversation with its messages (conversation.read).');
  addOne(read, cli, 'customer', 'a customer with orders and contact history (customer.read).');
}

function addOne(read: Command, cli: Cli, what: 'conversation' | 'customer', about: string): void {
  leaf<ReadOptions>(cli, read, {
    usage: `${what} <id>`,
    about,
    options: [
      option('--connection <name>', 'through which connection, where there are several'),
      option(
        '--operator <name>',
        'as this operator, which must have the capability; needed where the token may not write connectors',
      ),
    ],
    examples: [`fibric read ${what} 65f1c0de`, `fibric read ${what} 65f1c0de --operator triage-analyst --json`],
    run: async ({ api, out }, { connection, operator }, id) => {
      const client = await api();
      const through = await connectionOf(client, connection);
      const path = `/read/${what}s/${encodeURIComponent(id as string)}`;
      const found = await client.get<Record<string, unknown>>(path, { connection: through, operator });
      out.result(found, () => showDocument(out, found));
    },
  });
}
