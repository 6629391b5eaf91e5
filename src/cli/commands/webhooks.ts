/** `fibric webhooks …` and `fibric backfill …`: the two ways by which changes arrive, looked at and set going. */
import type { Command } from 'commander';
import { type Cli, group, leaf, option, required } from '../command.ts';
import { connectionOf } from '../connection-ref.ts';
import { usageError } from '../errors.ts';
import { EXIT } from '../exit.ts';
import type { ApiClient } from '../http/client.ts';
import { fetchAll } from '../pages.ts';
import { showDocument } from '../record-text.ts';
import { styleOf } from '../terminal/style.ts';
import { durationMs, parseSince, showTime } from '../times.ts';

interface OfConnection {
  readonly connection?: string;
}

interface WebhookHealth extends Record<string, unknown> {
  readonly state?: string;
  readonly status?: string;
}

interface Backfill {
  readonly stream?: string;
  readonly status?: string;
  readonly since?: string | null;
  readonly covered_from?: string | null;
  readonly rows_done?: number;
  readonly rows_left?: number | null;
}

const connectionOption = () => option('--connection <name>', 'of which connection, where there are several');

export function addWebhooks(program: Command, cli: Cli): void {
  const webhooks = group(program, 'webhooks', 'how changes are pushed to us.');
  leaf<OfConnection>(cli, webhooks, {
    usage: 'show',
    about: 'the webhooks of a connection and how they are; exit code 3 when something is wrong with them.',
    options: [connectionOption()],
    examples: ['fibric webhooks show', 'fibric webhooks show --connection kustomer-prod --json'],
    run: async ({ api, out }, { connection }) => {
      const client = await api();
      const path = await connectorPath(client, connection);
      const health = await client.get<WebhookHealth>(`${path}/webhook`);
      out.result(health, () => showDocument(out, health));
      const state = health.state ?? health.status;
      return state === 'degraded' || state === 'error' ? EXIT.notFound : EXIT.ok;
    },
  });
}

export function addBackfill(program: Command, cli: Cli): void {
  const backfill = group(program, 'backfill', 'history that is read by polling.');
  leaf<OfConnection & { since: string }>(cli, backfill, {
    usage: 'start',
    about: 'read history from a moment on; what was published already is recognised.',
    options: [required('--since <time>', 'so long ago (7d), a date or an instant'), connectionOption()],
    examples: [
      'fibric backfill start --since 2026-01-01',
      'fibric backfill start --since 7d --connection kustomer-prod',
    ],
    run: async ({ api, out, context }, { since, connection }) => {
      const nowMs = context.clock.nowMs();
      const from = parseSince('--since', since, nowMs);
      if (Date.parse(from) > nowMs || durationMs(since) === 0) throw usageError('--since lies in the past');
      const client = await api();
      const path = await connectorPath(client, connection);
      const started = await client.call<unknown>('POST', `${path}/backfills`, { body: { since: from } });
      out.result(started ?? null, () =>
        out.line(`Reading history from ${showTime(from)} on. \`fibric backfill status\` shows how far.`),
      );
    },
  });
  leaf<OfConnection>(cli, backfill, {
    usage: 'status',
    about: 'how far history has been read, stream by stream.',
    options: [connectionOption()],
    examples: ['fibric backfill status', 'fibric backfill status --json'],
    run: async ({ api, out }, { connection }) => {
      const client = await api();
      const all = await fetchAll<Backfill>(client, `${await connectorPath(client, connection)}/backfills`);
      out.result(all, () => {
        if (all.data.length === 0) return out.line('No history is read.');
        out.table(
          [
            { title: 'STREAM' },
            { title: 'STATUS' },
            { title: 'SINCE' },
            { title: 'COMPLETE FROM' },
            { title: 'READ' },
            { title: 'LEFT' },
          ],
          all.data.map((one) => [
            one.stream ?? '-',
            { text: one.status ?? '-', style: styleOf(one.status) },
            showTime(one.since),
            showTime(one.covered_from),
            String(one.rows_done ?? '-'),
            String(one.rows_left ?? '-'),
          ]),
        );
      });
    },
  });
}

async function connectorPath(client: ApiClient, connection: string | undefined): Promise<string> {
  return `/connectors/${encodeURIComponent(await connectionOf(client, connection))}`;
}
