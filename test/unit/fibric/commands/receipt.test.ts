import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../../src/base/errors.ts';
import { createReceiptType } from '../../../../src/fibric/commands/avro.ts';
import { readCommand, readUndecodable } from '../../../../src/fibric/commands/read-command.ts';
import { type Disposed, makeReceipt, type ReceiptInput } from '../../../../src/fibric/commands/receipt.ts';
import { scrub } from '../../../../src/fibric/commands/scrub.ts';
import { CONVERSATION, NOTE_KEY, NOW_MS, WIRE } from './samples.ts';

const JWT = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyIjoiNWYwMCJ9.c2lnbmF0dXJlLWNhbmFyeQ';

function commandOf(wire: object = WIRE) {
  const reading = readCommand(wire, { appendedAtMs: NOW_MS, key: NOTE_KEY });
  if (reading.kind !== 'command') throw new Error(JSON.stringify(reading));
  return reading.command;
}

const allow = { decision: 'ALLOW', rule: 'conversation.note.write', tier: 1 } as const;
const applied: Disposed = {
  outcome: 'applied',
  verdict: allow,
  unchanged: false,
  vendor: { type: 'note', id: '65ee000000000000000000f1' },
};

const input: ReceiptInput = {
  facts: commandOf(),
  receiptId: 'rc_0123',
  position: '3:1042',
  connection: { connectionId: 'cn_1', resellerId: null, workspaceId: 'ws_1' },
  disposed: applied,
  timings: {
    receivedAtMs: NOW_MS,
    startedAtMs: NOW_MS + 1,
    firstSentAtMs: NOW_MS + 2,
    lastSentAtMs: NOW_MS + 2,
    disposedAtMs: NOW_MS + 30,
  },
  policy: { name: 'support-writes', version: 3 },
  attempts: 1,
  externalId: 'fibric-1',
  fingerprint: 'ab',
};

const error = (message: string, code: ErrorCode = 'kustomer_refused') => ({ code, message, nextStep: 'See Kustomer.' });

describe('a receipt', () => {
  it('says who asked for what, what was decided by which policy, and what became of it (T1)', () => {
    const receipt = makeReceipt(input);
    expect(receipt).toMatchObject({
      receipt_id: 'rc_0123',
      command_id: 'cmd_1',
      command_position: '3:1042',
      tenant_id: 't_acme',
      workspace_id: 'ws_1',
      reseller_id: null,
      connector: 'cn-kustomer',
      connection: 'kustomer-prod',
      connection_id: 'cn_1',
      capability: 'conversation.note.write',
      entity_key: `conversation:${CONVERSATION}`,
      idempotency_key: 'order-risk:SO-1:note',
      operator: 'order-risk',
      plan_id: 'pl_1',
      event_id: WIRE.event_id,
      correlation_id: 'co_51bb02',
      verdict: allow,
      policy: { name: 'support-writes', version: 3 },
      outcome: 'applied',
      unchanged: false,
      first_receipt_id: null,
      attempts: 1,
      reconciled: false,
      vendor: { type: 'note', id: '65ee000000000000000000f1' },
      timings: { requested_at: '2026-03-25T09:59:59.000Z', disposed_at: '2026-03-25T10:00:00.030Z' },
      error: null,
    });
    const type = createReceiptType();
    expect({ ...type.fromBuffer(type.toBuffer(receipt)) }).toMatchObject({ ...receipt });
  });

  it.each<[string, Disposed, object]>([
    [
      'DEDUP names the first receipt and writes nothing',
      { outcome: 'deduplicated', verdict: { decision: 'DEDUP', rule: null, tier: null }, firstReceiptId: 'rc_1' },
      { outcome: 'deduplicated', first_receipt_id: 'rc_1', vendor: null, error: null },
    ],
    [
      'BLOCK says why and what to do',
      {
        outcome: 'refused',
        verdict: { decision: 'BLOCK', rule: null, tier: null },
        error: error('no rule', 'policy_blocked'),
      },
      { outcome: 'refused', verdict: { rule: null }, error: { code: 'policy_blocked', next_step: 'See Kustomer.' } },
    ],
    [
      'what the action itself declined had been allowed',
      { outcome: 'refused', declinedBy: 'action', verdict: allow, error: error('merged', 'conversation_merged') },
      { outcome: 'refused', verdict: allow, vendor: null, error: { code: 'conversation_merged' } },
    ],
    [
      'a failure after ALLOW has no vendor object',
      { outcome: 'failed', verdict: allow, error: error('gone') },
      { outcome: 'failed', vendor: null, first_receipt_id: null, error: { message: 'gone', problems: [] } },
    ],
    [
      'a dry run carries the verdict it would have had',
      { outcome: 'dry_run', verdict: { decision: 'BLOCK', rule: null, tier: null }, error: error('no rule') },
      { outcome: 'dry_run', verdict: { decision: 'BLOCK' }, vendor: null, unchanged: false },
    ],
    [
      'nothing to change is applied all the same',
      { ...applied, unchanged: true },
      { outcome: 'applied', unchanged: true },
    ],
  ])('%s', (_, disposed, expected) => {
    const receipt = makeReceipt({ ...input, disposed });
    expect(receipt).toMatchObject(expected);
    expect(createReceiptType().isValid(receipt)).toBe(true);
  });

  it('cannot say together what contradicts itself (T2)', () => {
    // @ts-expect-error what a policy allowed is refused by nobody but the action
    const refused: Disposed = { outcome: 'refused', verdict: allow, error: error('no') };
    // @ts-expect-error a failure was let through
    const failed: Disposed = {
      outcome: 'failed',
      verdict: { decision: 'BLOCK', rule: null, tier: null },
      error: error('no'),
    };
    expect([refused.outcome, failed.outcome]).toEqual(['refused', 'failed']);
  });

  it('is made of an invalid command and of bytes nobody can read as well', () => {
    const connection = { connectionId: null, resellerId: null, workspaceId: null };
    for (const reading of [
      readCommand({ ...WIRE, mode: 'x' }, { appendedAtMs: NOW_MS, key: NOTE_KEY }),
      readUndecodable({ commandId: 'c', tenantId: 't', connection: 'n' }, 'is no Avro'),
    ]) {
      if (reading.kind !== 'invalid') throw new Error('expected an invalid command');
      const { facts, problems } = reading;
      const disposed = {
        outcome: 'refused',
        verdict: { decision: 'BLOCK', rule: null, tier: null },
        error: { ...error('invalid', 'command_invalid'), problems },
      } as const;
      const receipt = makeReceipt({
        facts,
        receiptId: 'rc_1',
        position: '0:1',
        connection,
        disposed,
        timings: input.timings,
      });
      expect(createReceiptType().isValid(receipt)).toBe(true);
      expect(receipt.error?.problems).toHaveLength(1);
      expect(receipt).toMatchObject({ connection_id: null, mode: 'dry_run', attempts: 0 });
    }
  });

  it('holds neither the arguments nor a credential, whoever says it (T3)', () => {
    const canary = 'CANARY-note-body';
    const facts = commandOf({
      ...WIRE,
      args: { 'fibric.kustomer.NoteWrite': { conversation_id: CONVERSATION, body: canary } },
    });
    const said = [
      `note.create: answered 401: bad token ${JWT}`,
      `Authorization: Bearer ${JWT}`,
      `{"authorization":"Bearer abcdef0123456789"}`,
      'see https://user:hunter2secret@acme.example/v1',
      'api_key=abcdef0123456789, token: abcdef0123456789',
      'key sk_live_abcdef0123456789',
    ];
    for (const text of said) {
      const padded = `${'x'.repeat(980)} ${text}`;
      for (const message of [text, padded]) {
        const problems = [{ field: 'args.body', code: 'malformed', message }] as const;
        const disposed = {
          outcome: 'failed',
          verdict: allow,
          error: { code: 'kustomer_permission', message, nextStep: message, problems },
        } as const;
        const bytes = createReceiptType()
          .toBuffer(makeReceipt({ ...input, facts, disposed }))
          .toString('utf8');
        for (const secret of [canary, JWT, JWT.slice(0, 20), 'abcdef0123456789', 'abcdef01', 'hunter2', 'sk_live_a']) {
          expect(bytes.includes(secret), `${secret} in ${message.slice(-80)}`).toBe(false);
        }
      }
    }
  });

  it('is bounded, whatever Kustomer says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 0, maxLength: 3000 }), (message) => {
        const disposed = { outcome: 'failed', verdict: allow, error: error(message) } as const;
        const receipt = makeReceipt({ ...input, disposed });
        expect(receipt.error?.message.length).toBeLessThanOrEqual(1000);
        expect(receipt.error?.message.isWellFormed()).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe('the scrubber', () => {
  it('leaves ordinary words alone', () => {
    for (const text of [
      'conversation.get: answered 404: notfound Not Found (id)',
      'the API key needs org.permission.note.create',
      'Additional properties not allowed (custom.colourStr)',
      'see https://acme.kustomerapp.com/app/conversations',
    ]) {
      expect(scrub(text)).toBe(text);
    }
  });
});
