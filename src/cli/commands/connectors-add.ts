/** `fibric connectors add`: the handshake that a connector's `auth` declares, and the probe's answer in the guide's words. */
import type { Command } from 'commander';
import type { Connector, Listing } from '../api-types.ts';
import { showChecks } from '../checks.ts';
import { type Call, type Cli, leaf, option } from '../command.ts';
import { CliError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { findCredential, type JsonObject, parseJsonObject } from '../json-arg.ts';
import { isInteractive, secretFrom } from '../prompt.ts';
import { styleOf } from '../terminal/style.ts';

interface AddOptions {
  readonly as?: string;
  readonly connection?: string;
  readonly config?: string;
}

const KEY_VARIABLE = 'KUSTOMER_API_KEY';

export function addConnectorsAdd(connectors: Command, cli: Cli): void {
  leaf<AddOptions>(cli, connectors, {
    usage: 'add <listing>',
    about: `install a connector, or replace the key and configuration of one; the API key is asked for without echo, or read from stdin or ${KEY_VARIABLE}.`,
    options: [
      option('--as <role>', 'the role it is bound to, such as support'),
      option('--connection <name>', 'name of the connection (default: the listing’s id)'),
      option('--config <json>', 'what is no secret: subdomain (required), poll_interval, backfill_since'),
    ],
    examples: [
      'fibric connectors add cn-kustomer --as support --connection kustomer-prod --config \'{"subdomain":"acme"}\'',
      'fibric connectors add cn-kustomer --as support --connection kustomer-prod \\\n      --config \'{"subdomain":"acme","poll_interval":"30s","backfill_since":"2026-01-01"}\' < key.txt',
    ],
    run: add,
  });
}

async function add(call: Call, options: AddOptions, listingId?: string): Promise<ExitCode> {
  const { api, out } = call;
  const config = options.config === undefined ? undefined : configOf(options.config);
  const client = await api();
  const listing = await client.get<Listing>(`/listings/${encodeURIComponent(listingId as string)}`);
  const key = listing.auth?.kind === 'api_key' ? await readKey(call, listing) : undefined;
  const connector = await client.call<Connector>('POST', '/connectors', {
    body: {
      listing: listing.id,
      name: options.connection ?? listing.id,
      ...(options.as !== undefined && { role: options.as }),
      ...(config !== undefined && { config }),
      ...(key !== undefined && { api_key: key }),
    },
    // The probe asks Kustomer several things, and Kustomer may ask it to wait.
    timeoutMs: Math.max(call.session.timeoutMs, 60_000),
  });
  out.result(connector, () => show(call, connector));
  return connector.probe?.status === 'error' ? EXIT.failed : EXIT.ok;
}

async function readKey({ context, out }: Call, listing: Listing): Promise<string> {
  if (context.env[KEY_VARIABLE]) out.note(`using the API key of ${KEY_VARIABLE}`);
  else if (!isInteractive(context)) out.note('reading the API key from stdin');
  return (await secretFrom(context, KEY_VARIABLE, `${listing.name ?? listing.id} API key`)).reveal();
}

/** Refused here already: what is refused by the API has been sent. */
function configOf(text: string): JsonObject {
  const config = parseJsonObject('--config', text);
  const credential = findCredential(config);
  if (credential === null) return config;
  throw new CliError('credential_in_config', `${credential} in --config looks like a credential; it was not sent`, {
    exitCode: EXIT.usage,
    hint: `leave it out: the API key is asked for on its own (or piped to stdin, or ${KEY_VARIABLE}). What stood in --config is in your shell's history, so create a new key`,
  });
}

function show({ out }: Call, one: Connector): void {
  const status = one.status ?? 'unknown';
  const role = one.role ? `, bound to the role ${one.role}` : '';
  out.line(`${one.name} (${one.id}): ${out.paint(styleOf(status), status)}${role}`);
  if (one.status_detail) out.line(one.status_detail);
  const checks = one.probe?.checks ?? [];
  if (one.probe != null) {
    out.line();
    out.line(`Probe: ${out.paint(styleOf(one.probe.status), one.probe.status)}`);
    showChecks(out, checks);
  }
  if (one.key_stored === false) out.line('The key was not stored; the one there was, if any, stays.');
  if (one.probe?.status === 'error') return;
  out.line();
  out.line(`Webhook URL: ${one.webhook_url ?? '(none)'}`);
  out.line();
  out.line('Installing grants nothing. Next:');
  const steps = nextSteps(one);
  const widest = Math.max(...steps.map(([command]) => command.length));
  for (const [command, why] of steps) out.line(`  ${command.padEnd(widest)}  ${why}`);
}

function nextSteps({ name }: Connector): readonly (readonly [string, string])[] {
  return [
    ['fibric capabilities ls', 'what it exposes'],
    [`fibric capabilities grant conversation.note.write --operator <name>`, 'give an operator what it needs'],
    ['fibric policy apply ./policy.yaml', 'writes also need a rule that allows them'],
    ['fibric events tail --source kustomer', 'see events flow'],
    [`fibric connectors test cn-kustomer --contract --connection ${name}`, 'check webhooks, polling and permissions'],
  ];
}
