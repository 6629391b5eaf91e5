/** `fibric connectors …`: the marketplace, and what is installed from it. */
import type { Command } from 'commander';
import type { Connector, Listing } from '../api-types.ts';
import { type Call, type Cli, group, leaf, option } from '../command.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { fetchAll } from '../pages.ts';
import { confirm } from '../prompt.ts';
import { styleOf } from '../terminal/style.ts';
import type { Cell } from '../terminal/table.ts';
import { showTime } from '../times.ts';
import { addConnectorsAdd } from './connectors-add.ts';
import { addConnectorsTest } from './connectors-test.ts';

export function addConnectors(program: Command, cli: Cli): void {
  const connectors = group(program, 'connectors', 'find, install, test and remove connectors.');
  leaf(cli, connectors, {
    usage: 'search [words...]',
    about: 'search the marketplace; without words, all of it.',
    examples: ['fibric connectors search kustomer', 'fibric connectors search support --json'],
    run: async ({ api, out }, _options, ...words) => {
      const q = words.flat().join(' ').trim();
      const found = await fetchAll<Listing>(await api(), '/listings', { q: q === '' ? undefined : q });
      out.result(found, () => {
        if (found.data.length === 0) return out.line(`Nothing in the marketplace matches ${JSON.stringify(q)}.`);
        out.table(
          [{ title: 'LISTING' }, { title: 'CATEGORY' }, { title: 'PUBLISHER' }, { title: 'ABOUT', shrinks: true }],
          found.data.map((one) => [one.id, one.category ?? '-', one.publisher ?? '-', aboutOf(one)]),
        );
      });
      return found.data.length === 0 ? EXIT.notFound : EXIT.ok;
    },
  });
  addConnectorsAdd(connectors, cli);
  leaf(cli, connectors, {
    usage: 'list',
    about: 'what is installed, and how it is.',
    examples: ['fibric connectors list', 'fibric connectors list --json'],
    run: list,
  }).alias('ls');
  leaf(cli, connectors, {
    usage: 'show <connection>',
    about: 'everything about one connection, by name or id; never its secret.',
    examples: ['fibric connectors show kustomer-prod'],
    run: async ({ api, out }, _options, ref) => {
      const one = await (await api()).get<Connector>(`/connectors/${encodeURIComponent(ref as string)}`);
      out.result(one, () => out.fields(connectorFields(one)));
    },
  });
  addConnectorsTest(connectors, cli);
  leaf<{ yes?: boolean }>(cli, connectors, {
    usage: 'remove <connection>',
    about: 'uninstall a connection: nothing is sensed or written through it any more, and its key is forgotten.',
    options: [option('--yes', 'do not ask')],
    examples: ['fibric connectors remove kustomer-prod', 'fibric connectors remove kustomer-prod --yes'],
    run: remove,
  });
}

async function list({ api, out }: Call): Promise<void> {
  const all = await fetchAll<Connector>(await api(), '/connectors');
  out.result(all, () => {
    if (all.data.length === 0) return out.line('Nothing is installed. `fibric connectors search` shows what there is.');
    out.table(
      [
        { title: 'CONNECTION' },
        { title: 'ID' },
        { title: 'LISTING' },
        { title: 'ROLE' },
        { title: 'STATUS' },
        { title: 'LAST SENSED' },
        { title: 'DETAIL', shrinks: true },
      ],
      all.data.map((one) => [
        one.name,
        one.id,
        one.listing,
        one.role ?? '-',
        statusCell(one.status),
        showTime(one.last_sense_at),
        one.status_detail ?? '',
      ]),
    );
  });
}

async function remove({ api, out, context }: Call, { yes }: { yes?: boolean }, ref?: string): Promise<ExitCode> {
  const client = await api();
  const one = await client.get<Connector>(`/connectors/${encodeURIComponent(ref as string)}`);
  await confirm(context, `Remove ${one.name} (${one.id})? Its key and webhook are forgotten.`, yes === true);
  await client.call('DELETE', `/connectors/${encodeURIComponent(one.id)}`);
  out.result({ object: 'connector', id: one.id, name: one.name, deleted: true }, () =>
    out.line(`Removed ${one.name}.`),
  );
  return EXIT.ok;
}

export function connectorFields(one: Connector): readonly (readonly [string, Cell])[] {
  const config = Object.entries(one.config ?? {}).filter(([, value]) => value !== null);
  return [
    ['connection', `${one.name} (${one.id})`],
    ['listing', one.listing],
    ['role', one.role ?? '-'],
    ['status', statusCell(one.status)],
    ...(one.status_detail ? [['detail', one.status_detail] as const] : []),
    ['capabilities', one.capabilities?.join(' ') || '(none)'],
    ...config.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const),
    ['key', one.auth?.hint ?? '(none)'],
    ['webhook URL', one.webhook_url ?? '-'],
    ['installed', showTime(one.installed_at)],
    ['last sensed', showTime(one.last_sense_at)],
  ];
}

function statusCell(status: string | undefined): Cell {
  return { text: status ?? '-', style: styleOf(status) };
}

/** The first sentence: a table is no place for two paragraphs. */
function aboutOf({ about, name, tools }: Listing): string {
  const sentence = /^.*?[.!?](?=\s|$)/s.exec(about ?? '')?.[0] ?? about ?? name ?? '';
  const writes = tools?.filter(({ side_effect }) => side_effect === true).length ?? 0;
  return writes === 0 ? sentence : `${sentence} ${writes} governed write${writes === 1 ? '' : 's'}.`;
}
