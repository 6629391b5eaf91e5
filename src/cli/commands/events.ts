/** `fibric events …`: what was sensed, as it comes and as it was. */
import type { Command } from 'commander';
import { type Cli, group, leaf, option } from '../command.ts';
import { usageError } from '../errors.ts';
import { type EventLike, eventFields, eventLine } from '../event-text.ts';
import { fetchList, noteMore, type PageOptions, pageOptions } from '../pages.ts';
import { runTail, type TailOptions, tailOptions } from '../tail.ts';
import { parseSince, showTime } from '../times.ts';

interface Filters {
  readonly source?: string;
  readonly type?: string;
}

const filterOptions = () => [
  option('--source <name>', 'of this source, such as kustomer'),
  option('--type <glob>', 'of this type; * stands for one segment: conversation.*.*'),
];

export function addEvents(program: Command, cli: Cli): void {
  const events = group(program, 'events', 'what was sensed.');
  leaf<Filters & TailOptions>(cli, events, {
    usage: 'tail',
    about: 'show events as they come, until Ctrl-C; lost connections are taken up again without gap or repetition.',
    options: [...filterOptions(), ...tailOptions()],
    examples: [
      'fibric events tail --source kustomer',
      "fibric events tail --source kustomer --type 'conversation.*.*' --since 1h",
      'fibric events tail --source kustomer --json | jq .event_type',
    ],
    run: (call, { source, type, ...rest }) =>
      runTail(call, '/events/stream', { source, event_type: typeGlob(type) }, rest, (value) =>
        call.out.line(eventLine(value as EventLike, call.context.clock.nowMs())),
      ),
  });
  leaf<Filters & PageOptions & { since?: string }>(cli, events, {
    usage: 'ls',
    about: 'events that were sensed, the newest first.',
    options: [
      ...filterOptions(),
      option('--since <time>', 'not older than this (1h, a date, an instant)'),
      ...pageOptions(),
    ],
    examples: [
      'fibric events ls --source kustomer --limit 5',
      "fibric events ls --type 'conversation.*.*' --since 1h --json",
    ],
    run: async ({ api, out, context }, { source, type, since, ...page }) => {
      const query = {
        source,
        event_type: typeGlob(type),
        since: since === undefined ? undefined : parseSince('--since', since, context.clock.nowMs()),
      };
      const all = await fetchList<EventLike>(await api(), '/events', query, page);
      out.result(all, () => {
        if (all.data.length === 0) return out.line('No events.');
        out.table(
          [
            { title: 'OBSERVED' },
            { title: 'EVENT TYPE' },
            { title: 'SOURCE' },
            { title: 'ID' },
            { title: 'CORRELATION', shrinks: true },
          ],
          all.data.map((one) => [
            showTime(one.observed_at),
            one.event_type ?? '-',
            one.source ?? '-',
            one.id ?? one.event_id ?? '-',
            one.correlation_id ?? '-',
          ]),
        );
        noteMore(all, out);
      });
    },
  });
  leaf(cli, events, {
    usage: 'show <id>',
    about: 'one event with its payload.',
    examples: ['fibric events show ev_2b7f', 'fibric events show ev_2b7f --json'],
    run: async ({ api, out }, _options, id) => {
      const one = await (await api()).get<EventLike>(`/events/${encodeURIComponent(id as string)}`);
      out.result(one, () => {
        out.fields(eventFields(one));
        out.line();
        out.line('payload');
        for (const line of JSON.stringify(one.payload ?? null, null, 2).split('\n')) out.line(`  ${line}`);
      });
    },
  });
}

/** Told here, because a glob that matches nothing looks like silence. */
function typeGlob(glob: string | undefined): string | undefined {
  if (glob === undefined) return undefined;
  if (!/^(?:\*|[a-z0-9_]+)(?:\.(?:\*|[a-z0-9_]+))*$/.test(glob)) {
    throw usageError(
      '--type is an event type, or a glob in which * stands for one whole segment',
      "write it in quotes: --type 'conversation.*.*'",
    );
  }
  return glob;
}
