/** `fibric approvals …`: actions that wait for a person. */
import type { Command } from 'commander';
import { ANSWER_MS, type Answered, exitCodeOfAnswer, showAnswered } from '../answered.ts';
import type { Approval } from '../api-types.ts';
import { type Call, type Cli, group, leaf, option } from '../command.ts';
import { fetchList, noteMore, type PageOptions, pageOptions } from '../pages.ts';
import { styleOf } from '../terminal/style.ts';
import { relative, showTime } from '../times.ts';

export function addApprovals(program: Command, cli: Cli): void {
  const approvals = group(program, 'approvals', 'actions that a person has to approve (ALERT).');
  leaf<PageOptions & { state?: string }>(cli, approvals, {
    usage: 'ls',
    about: 'what waits; with --state also what has been answered, as far as it is kept.',
    options: [option('--state <state>', 'such as waiting'), ...pageOptions()],
    examples: ['fibric approvals ls', 'fibric approvals ls --json'],
    run: list,
  });
  leaf(cli, approvals, {
    usage: 'show <id>',
    about: 'what would be done, with its arguments.',
    examples: ['fibric approvals show apr_7c1e'],
    run: async ({ api, out, context }, _options, id) => {
      const one = await (await api()).get<Approval>(`/approvals/${encodeURIComponent(id as string)}`);
      out.result(one, () => {
        out.fields([
          ['approval', one.id],
          ['state', { text: one.state ?? '-', style: styleOf(one.state) }],
          ['capability', one.capability ?? '-'],
          ['operator', one.operator ?? '-'],
          ['connection', one.connection ?? '-'],
          ['entity', one.entity_key ?? '-'],
          ['key', one.idempotency_key ?? '-'],
          ['policy', one.policy == null ? '-' : `${one.policy.name} version ${one.policy.version}`],
          ['held', showTime(one.held_at)],
          ['expires', `${relative(one.expires_at, context.clock.nowMs())} (${showTime(one.expires_at)})`],
        ]);
        out.line();
        out.line('args');
        for (const line of JSON.stringify(one.args ?? null, null, 2).split('\n')) out.line(`  ${line}`);
      });
    },
  });
  addAnswer(approvals, cli, 'approve', 'let it run. Policy is asked again: an approval does not overrule a block.');
  addAnswer(approvals, cli, 'reject', 'refuse it for good; its receipt says so.');
}

async function list({ api, out, context }: Call, { state, ...page }: PageOptions & { state?: string }): Promise<void> {
  const all = await fetchList<Approval>(await api(), '/approvals', { state }, page);
  out.result(all, () => {
    if (all.data.length === 0) return out.line('Nothing waits for approval.');
    out.table(
      [
        { title: 'APPROVAL' },
        { title: 'STATE' },
        { title: 'CAPABILITY' },
        { title: 'OPERATOR', shrinks: true },
        { title: 'ENTITY', shrinks: true },
        { title: 'EXPIRES' },
      ],
      all.data.map((one) => [
        one.id,
        { text: one.state ?? '-', style: styleOf(one.state) },
        one.capability ?? '-',
        one.operator ?? '-',
        one.entity_key ?? '-',
        relative(one.expires_at, context.clock.nowMs()),
      ]),
    );
    noteMore(all, out);
  });
}

function addAnswer(approvals: Command, cli: Cli, verb: 'approve' | 'reject', about: string): void {
  leaf<{ note?: string }>(cli, approvals, {
    usage: `${verb} <id>`,
    about,
    options: [option('--note <text>', 'why, for the record')],
    examples: [`fibric approvals ${verb} apr_7c1e --note 'seen with the customer'`],
    run: async ({ api, out, session }, { note }, id) => {
      const path = `/approvals/${encodeURIComponent(id as string)}/${verb}`;
      const client = await api();
      const answer = await client.call<Answered>('POST', path, {
        body: note === undefined ? {} : { note },
        timeoutMs: Math.max(session.timeoutMs, ANSWER_MS),
      });
      out.result(answer, () => showAnswered(out, id as string, answer));
      return exitCodeOfAnswer(answer, verb === 'approve' ? 'approved' : 'rejected');
    },
  });
}
