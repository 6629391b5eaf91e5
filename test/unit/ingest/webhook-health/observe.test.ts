import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/base/secret.ts';
import { deliveryFacts } from '../../../../src/ingest/webhook-health/observe.ts';
import { isOwn, missingEvents, neededEvents, webhookUrl } from '../../../../src/ingest/webhook-health/own-webhooks.ts';
import { PolledChanges } from '../../../../src/ingest/webhook-health/polled-changes.ts';
import type { OutboundWebhook, WebhookTransaction } from '../../../../src/kustomer/client/outbound-webhooks.ts';
import { EVENT_NAMES } from '../../../../src/kustomer/event-names.ts';
import { connectionTo } from '../../app/control/simulated.ts';

const line = (sentAt: string | null, status: string | number | null): WebhookTransaction => ({
  webhookId: 'w1',
  sentAt,
  nextRetry: null,
  status,
  eventName: null,
});
const at = (second: number) => new Date(second * 1000).toISOString();

describe('the delivery log', () => {
  it('counts the failures after the last success, in whatever order the lines come', () => {
    const log = [line(at(5), 503), line(at(1), 500), line(at(9), 0), line(at(4), 200), line(at(2), 201)];
    expect(deliveryFacts(log)).toEqual({
      lastSuccessAtMs: 4_000,
      failuresAtMs: [9_000, 5_000],
      lastFailureStatus: '0',
    });
    expect(deliveryFacts([line(at(1), 500)])).toMatchObject({ lastSuccessAtMs: null, failuresAtMs: [1_000] });
    expect(deliveryFacts([])).toEqual({ lastSuccessAtMs: null, failuresAtMs: [], lastFailureStatus: null });
  });

  it.each([
    ['200', true],
    [204, true],
    ['success', true],
    ['Delivered', true],
    ['failed', false],
    ['ERROR', false],
    ['301', false],
    [0, false],
  ])('takes the status %j for success: %s', (status, succeeded) => {
    const facts = deliveryFacts([line(at(1), status)]);
    expect(facts.lastSuccessAtMs !== null).toBe(succeeded);
    expect(facts.failuresAtMs.length === 1).toBe(!succeeded);
  });

  it.each([
    [at(1), null],
    [at(1), ''],
    [at(1), 'pending'],
    [null, 200],
    ['yesterday', 200],
  ])('leaves out what says nothing: %j %j', (sentAt, status) => {
    expect(deliveryFacts([line(sentAt, status)])).toMatchObject({ lastSuccessAtMs: null, failuresAtMs: [] });
  });
});

const webhook = (more: Partial<OutboundWebhook>): OutboundWebhook => ({
  id: 'w1',
  name: null,
  url: null,
  enabled: true,
  isError: false,
  events: EVENT_NAMES,
  headers: [],
  token: null,
  updatedAt: null,
  ...more,
});
const connection = { ...connectionTo('https://x'), webhookTokens: [new Secret('ours-1')], apiKey: null };

describe('whose webhook it is', () => {
  it.each<[string, Partial<OutboundWebhook>, boolean]>([
    ['our address', { url: 'https://a.example/webhooks/kustomer/cn_a' }, true],
    ['our address behind a path', { url: 'https://a.example/x/webhooks/kustomer/cn_a?y=1' }, true],
    ['our token', { url: 'https://gateway.example/', token: new Secret('ours-1') }, true],
    ["another connection's address", { url: 'https://a.example/webhooks/kustomer/cn_ab' }, false],
    ['an address that only holds ours', { url: 'https://a.example/webhooks/kustomer/cn_a/more' }, false],
    ['another token', { token: new Secret('theirs-1') }, false],
    ['nothing', {}, false],
    ['no address', { url: 'not a url' }, false],
  ])('%s', (_what, more, own) => expect(isOwn(webhook(more), connection)).toBe(own));

  it('is told by the ids we keep', () => {
    expect(isOwn(webhook({}), { ...connection, webhookId: 'w1' })).toBe(true);
    expect(isOwn(webhook({}), { ...connection, previousWebhookId: 'w1' })).toBe(true);
    expect(isOwn(webhook({}), { ...connection, webhookId: 'w2' })).toBe(false);
  });

  it('must send what the connection emits, and no more', () => {
    const extended = { ...connection, settings: { ...connection.settings, extendedEvents: true } };
    expect(neededEvents(extended)).toEqual(EVENT_NAMES);
    expect(neededEvents(connection)).toHaveLength(6);
    const ten = EVENT_NAMES.filter((name) => !name.includes('.tag.'));
    expect(missingEvents(webhook({ events: ten }), connection)).toEqual([]);
    expect(missingEvents(webhook({ events: ten }), extended)).toEqual(['kustomer.tag.create', 'kustomer.tag.update']);
  });
});

describe('where it points', () => {
  it.each([
    ['https://hooks.example.com', 'https://hooks.example.com/webhooks/kustomer/cn_a'],
    ['https://hooks.example.com/', 'https://hooks.example.com/webhooks/kustomer/cn_a'],
    ['https://example.com:8443/fibric/', 'https://example.com:8443/fibric/webhooks/kustomer/cn_a'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/webhooks/kustomer/cn_a'],
  ])('%s', (publicUrl, url) => expect(webhookUrl(publicUrl, 'cn_a')).toBe(url));

  it.each([
    'http://hooks.example.com',
    'hooks.example.com',
    'ftp://hooks.example.com',
    'https://user:pw@hooks.example.com',
    'https://hooks.example.com/?x=1',
    'https://hooks.example.com/#x',
    `https://hooks.example.com/${'x'.repeat(240)}`,
    '',
  ])('refuses %s', (publicUrl) => {
    expect(() => webhookUrl(publicUrl, 'cn_a')).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});

describe('the polled changes', () => {
  it('keeps the newest, each once, and forgets a connection', () => {
    const changes = new PolledChanges();
    for (let ms = 0; ms < 500; ms += 1) changes.note('cn_a', (ms * 7) % 500);
    changes.note('cn_a', 499);
    expect(changes.of('cn_a')).toEqual(Array.from({ length: 100 }, (_, n) => 499 - n));
    changes.note('cn_a', 3);
    expect(changes.of('cn_a')).toHaveLength(100);
    expect(changes.of('cn_b')).toEqual([]);
    changes.forget('cn_a');
    expect(changes.of('cn_a')).toEqual([]);
  });
});
