import { describe, expect, it } from 'vitest';
import { EXIT } from '../../../src/cli/exit.ts';
import { APPROVAL, eventOf, type Json, NOW, receiptOf } from '../../support/fibric/fixtures.ts';
import { apply, installed, withApi } from '../../support/fibric/world.ts';
import { waitFor } from '../../support/wait-for.ts';

describe('lists', () => {
  it('are read page by page, as far as was asked', async () => {
    const { api, fibric } = await withApi();
    for (let n = 1; n <= 250; n++) api.events.entries.push(eventOf(n));
    const run = await fibric('events ls --limit 230 --json');
    const list = JSON.parse(run.out) as { data: Json[]; has_more: boolean; next_cursor: string };
    expect(list.data).toHaveLength(230);
    expect(new Set(list.data.map(({ id }) => id)).size).toBe(230);
    expect(list).toMatchObject({ has_more: true, next_cursor: 'cur_230' });
    expect(api.asked.map(({ query }) => query['limit'])).toEqual(['100', '100', '30']);
    const rest = JSON.parse((await fibric('events ls --limit 100 --cursor cur_230 --json')).out) as { data: Json[] };
    expect(rest.data).toHaveLength(20);
  });

  it('fit a terminal, are coloured there, and are neither in a pipe', async () => {
    const { fibric } = await installed();
    const narrow = await fibric('connectors search kustomer', { terminal: { columns: 60 } });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
    const plain = narrow.out.replaceAll(/\u001b\[\d+m/g, '');
    expect(plain).not.toBe(narrow.out);
    for (const line of plain.split('\n')) expect(line.length).toBeLessThanOrEqual(60);
    const plainTerminal = await fibric('connectors search kustomer', {
      terminal: { columns: 60 },
      env: { NO_COLOR: '1' },
    });
    expect(plainTerminal.out).not.toContain('\u001b');
    const piped = await fibric('connectors search kustomer');
    expect(piped.out).not.toContain('\u001b');
    expect(piped.out).toContain('2 governed writes.');
  });

  it.each([
    'whoami',
    'connectors search kustomer',
    'connectors list',
    'connectors show kustomer-prod',
    'connectors test cn-kustomer --contract',
    'capabilities ls',
    'capabilities grants',
    'policy ls',
    'policy show support-writes',
    'policy validate support-writes',
    'events ls',
    'events show ev_0001',
    'receipts ls',
    'receipts show rc_0001',
    'receipts parked',
    'approvals ls',
    'approvals show apr_7c1e',
    'read conversation 63k1',
    'read customer 65c0',
    'webhooks show',
    'backfill status',
  ])('%s --json is one document and nothing else', async (line) => {
    const both = await installed();
    await apply(both);
    both.api.events.entries.push(eventOf(1));
    both.api.receipts.entries.push(receiptOf({}));
    both.api.world.approvals.push({ ...APPROVAL });
    const run = await both.fibric(`${line} --json`);
    expect(run.code).toBe(EXIT.ok);
    expect(typeof JSON.parse(run.out)).toBe('object');
    const shown = await both.fibric(line);
    expect(shown.code).toBe(EXIT.ok);
    expect(shown.out).not.toBe('');
  });

  it('end with a code of their own where a check has found something', async () => {
    const { api, fibric } = await installed();
    Object.assign(api.world.connectors[0] as Json, { webhooks: 'off' });
    const contract = await fibric('connectors test cn-kustomer --contract');
    expect(contract.code).toBe(EXIT.notFound);
    expect(contract.out).toContain('Expected degradation, not data loss.');
    expect((await fibric('webhooks show')).code).toBe(EXIT.notFound);
  });
});

describe('tails', () => {
  it('go on over broken connections without gap or repetition', async () => {
    const { api, fibric } = await withApi();
    for (let n = 1; n <= 3; n++) api.events.entries.push(eventOf(n));
    let seen = 0;
    const publish = (n: number) => setImmediate(() => api.events.publish(eventOf(n)));
    const run = await fibric('events tail --source kustomer --since 2h --max 9 --json', {
      onOutput: (text) => {
        const lines = text.split('\n').filter((line) => line.startsWith('{')).length;
        if (lines === seen) return;
        seen = lines;
        // Each event breaks something in its own way, and the next one comes while nobody is connected.
        if (seen >= 3 && seen < 9) {
          if (seen % 3 === 0) api.events.cut();
          if (seen % 3 === 1) api.events.end();
          if (seen % 3 === 2) api.events.repeat();
          publish(seen + 1);
        }
      },
    });
    expect(run.code).toBe(EXIT.ok);
    const ids = run.out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as Json)['id']);
    expect(ids).toEqual(Array.from({ length: 9 }, (_, index) => eventOf(index + 1)['id']));
    expect(run.notes).toMatch(/connecting again in/);
    const places = api.asked.map(({ headers }) => headers['last-event-id']);
    expect(places.length).toBeGreaterThan(3);
    expect(places[0]).toBeUndefined();
    expect(places.slice(1).every((place) => place !== undefined)).toBe(true);
  });

  it('miss nothing where the first connection is lost before anything came', async () => {
    const { api, fibric } = await withApi();
    // In the clock of the API, by which its `since` counts.
    const entry = (n: number): Json => ({ ...eventOf(n), observed_at: new Date(Date.now() + 1000).toISOString() });
    api.events.entries.push(eventOf(1));
    const run = fibric('events tail --max 1 --json');
    await waitFor(() => api.events.open === 1, { message: 'the stream' });
    api.events.cut();
    api.events.entries.push(entry(2));
    expect(JSON.parse((await run).out)).toMatchObject({ id: 'ev_0002' });
    expect(api.asked[0]?.query).toEqual({});
    expect(api.asked[1]?.query['since']).toBeDefined();
  });

  it('ask for what was meant', async () => {
    const { api, fibric } = await withApi();
    await fibric("events tail --source kustomer --type 'conversation.*.*' --since 1h --no-follow");
    expect(api.asked[0]?.query).toEqual({
      source: 'kustomer',
      event_type: 'conversation.*.*',
      since: new Date(Date.parse(NOW) - 3_600_000).toISOString(),
      follow: 'false',
    });
    await fibric('receipts tail --verdict block --cursor cur_9 --no-follow');
    expect(api.asked[1]?.query).toEqual({ verdict: 'BLOCK', cursor: 'cur_9', follow: 'false' });
    expect((await fibric('events tail --since 1h --cursor x')).code).toBe(EXIT.usage);
  });

  it('end where the API refuses', async () => {
    const { fibric } = await withApi();
    expect((await fibric('events tail', { token: 'sk_live_unknown_unknown' })).code).toBe(EXIT.forbidden);
  });
});
