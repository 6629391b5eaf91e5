/** `fibric capabilities …`: what connections expose, and which operator has it. */
import type { Command } from 'commander';
import type { Capability } from '../api-types.ts';
import { type Cli, group, leaf, option, required } from '../command.ts';
import type { Method } from '../http/client.ts';
import { fetchAll, fetchList, noteMore, type PageOptions, pageOptions } from '../pages.ts';
import { styleOf } from '../terminal/style.ts';
import { showTime } from '../times.ts';

interface Grant {
  readonly operator: string;
  readonly capability?: string;
  readonly capabilities?: readonly string[];
  readonly connection?: string | null;
  readonly updated_at?: string;
}

interface GrantOptions {
  readonly operator: string;
  readonly connection?: string;
}

export function addCapabilities(program: Command, cli: Cli): void {
  const capabilities = group(program, 'capabilities', 'what connections expose, and who may use it.');
  leaf(cli, capabilities, {
    usage: 'ls',
    about: 'every capability, with the connector that provides it and the operators that have it.',
    examples: ['fibric capabilities ls', 'fibric capabilities ls --json'],
    run: async ({ api, out }) => {
      const all = await fetchAll<Capability>(await api(), '/capabilities');
      out.result(all, () => {
        if (all.data.length === 0)
          return out.line('No connection exposes anything. `fibric connectors add` installs one.');
        const several = new Set(all.data.map(({ connection }) => connection)).size > 1;
        out.table(
          [
            { title: 'CAPABILITY' },
            { title: 'CONNECTOR' },
            { title: 'STATUS' },
            ...(several ? [{ title: 'CONNECTION' }] : []),
            { title: 'GRANTED TO', shrinks: true },
          ],
          all.data.map((one) => [
            one.capability,
            one.connector,
            { text: one.status ?? '-', style: styleOf(one.status) },
            ...(several ? [one.connection ?? '-'] : []),
            one.granted_to?.join(', ') || '-',
          ]),
        );
      });
    },
  });
  leaf<PageOptions & { operator?: string }>(cli, capabilities, {
    usage: 'grants',
    about: 'what each operator has.',
    options: [option('--operator <name>', 'of this operator only'), ...pageOptions()],
    examples: ['fibric capabilities grants', 'fibric capabilities grants --operator triage-analyst'],
    run: async ({ api, out }, { operator, ...page }) => {
      const all = await fetchList<Grant>(await api(), '/grants', { operator }, page);
      out.result(all, () => {
        if (all.data.length === 0) return out.line('Nothing is granted. Installing a connector grants nothing.');
        out.table(
          [
            { title: 'OPERATOR' },
            { title: 'CONNECTION' },
            { title: 'CAPABILITIES', shrinks: true },
            { title: 'SINCE' },
          ],
          all.data.map((one) => [
            one.operator,
            one.connection ?? '-',
            one.capability ?? one.capabilities?.join(' ') ?? '-',
            showTime(one.updated_at),
          ]),
        );
        noteMore(all, out);
      });
    },
  });
  addChange(capabilities, cli, { name: 'grant', method: 'PUT', about: 'give an operator a capability.', past: 'has' });
  addChange(capabilities, cli, {
    name: 'revoke',
    method: 'DELETE',
    about: 'take a capability from an operator; from then on its writes are blocked.',
    past: 'no longer has',
  });
}

interface Change {
  readonly name: 'grant' | 'revoke';
  readonly method: Method;
  readonly about: string;
  readonly past: string;
}

function addChange(capabilities: Command, cli: Cli, { name, method, about, past }: Change): void {
  leaf<GrantOptions>(cli, capabilities, {
    usage: `${name} <capability>`,
    about,
    options: [
      required('--operator <name>', 'the operator'),
      option('--connection <name>', 'through this connection, where there are several'),
    ],
    examples: [
      `fibric capabilities ${name} conversation.note.write --operator triage-analyst`,
      `fibric capabilities ${name} conversation.read --operator triage-analyst --connection kustomer-prod`,
    ],
    run: async ({ api, out }, { operator, connection }, capability) => {
      const grant = { operator, capability: capability as string, ...(connection !== undefined && { connection }) };
      const answer = await (await api()).call<unknown>(
        method,
        '/grants',
        method === 'PUT' ? { body: grant } : { query: grant },
      );
      out.result(answer ?? { object: 'grant', ...grant, deleted: name === 'revoke' }, () => {
        out.line(`${operator} ${past} ${capability}.`);
        if (name === 'grant' && capability?.endsWith('.write') === true) {
          out.line('A write also needs a policy that allows it: `fibric policy apply ./policy.yaml`.');
        }
      });
    },
  });
}
