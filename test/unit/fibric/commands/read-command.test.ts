import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCommandType } from '../../../../src/fibric/commands/avro.ts';
import { hasExpired, type WireCommand } from '../../../../src/fibric/commands/command.ts';
import { composeCommand } from '../../../../src/fibric/commands/compose-command.ts';
import { PROBLEM_CODES } from '../../../../src/fibric/commands/field-reader.ts';
import { readCommand, readUndecodable } from '../../../../src/fibric/commands/read-command.ts';
import { TENANT_ID } from '../../../../src/kafka/topics.ts';
import {
  ASSIGNMENT,
  ASSIGNMENT_ARGS,
  CALL,
  CALL_ARGS,
  CALL_KEY,
  CONVERSATION,
  NOTE_KEY,
  NOW_MS,
  STATUS,
  STATUS_ARGS,
  TEAM,
  USER,
  WIRE,
} from './samples.ts';

const at = (key: string | null = NOTE_KEY) => ({ appendedAtMs: NOW_MS, key });

function problemsOf(value: unknown, key: string | null = NOTE_KEY): readonly string[] {
  const reading = readCommand(value, at(key));
  return reading.kind === 'command' ? [] : reading.problems.map(({ field, code }) => `${field} ${code}`);
}

const note = (args: object): WireCommand => ({ ...WIRE, args: { 'fibric.kustomer.NoteWrite': args } });
const status = (args: object): WireCommand => ({
  ...STATUS,
  args: { 'fibric.kustomer.StatusWrite': { ...STATUS_ARGS, ...args } },
});
const assignment = (args: object): WireCommand => ({
  ...ASSIGNMENT,
  args: { 'fibric.kustomer.AssignmentWrite': { ...ASSIGNMENT_ARGS, ...args } },
});
const call = (args: object): WireCommand => ({
  ...CALL,
  args: { 'fibric.kustomer.CallStatusWrite': { ...CALL_ARGS, ...args } },
});

describe('a command', () => {
  it.each([
    ['note', WIRE, NOTE_KEY],
    ['status', STATUS, NOTE_KEY],
    ['assignment', ASSIGNMENT, NOTE_KEY],
    ['call', CALL, CALL_KEY],
  ])('of each kind comes whole through Avro and the checks: %s', (_, wire, key) => {
    const type = createCommandType();
    const reading = readCommand(type.fromBuffer(type.toBuffer(wire)), at(key));
    expect(reading).toMatchObject({
      kind: 'command',
      command: {
        commandId: 'cmd_1',
        tenantId: 't_acme',
        connection: 'kustomer-prod',
        capability: wire.capability,
        args: Object.values(wire.args)[0],
        entityKey: wire.entity_key,
        idempotencyKey: 'order-risk:SO-1:note',
        laneKey: key,
        mode: 'live',
        requestedAtMs: NOW_MS - 1000,
        deadlineMs: NOW_MS + 300_000,
      },
    });
  });

  it('is a dry run where the record says nothing of it, and never where it says something else', () => {
    const { mode: _, ...silent } = WIRE;
    expect(readCommand(silent, at())).toMatchObject({ kind: 'command', command: { mode: 'dry_run' } });
    for (const mode of ['LIVE', 'yes', '', null, true]) expect(problemsOf({ ...WIRE, mode })).toEqual(['mode unknown']);
  });

  it("takes the guide's conversation ids, and hex in one spelling only", () => {
    const named = (id: string) => ({
      ...note({ conversation_id: id, body: 'connectivity check' }),
      entity_key: `conversation:${id}`,
    });
    expect(problemsOf(named('cnv_63k1'), 'cnv_63k1')).toEqual([]);
    for (const id of [CONVERSATION.toUpperCase(), 'cnv_', 'cnv_63K1', '63k1', `${CONVERSATION}0`, '../x', '']) {
      expect(problemsOf(named(id), id), id).toContainEqual(expect.stringMatching(/^args\.conversation_id /));
    }
    expect(problemsOf(assignment({ users: ['cnv_63k1'] }))).toEqual(['args.users.0 malformed']);
  });

  it('has a deadline ahead of its arrival, whoever reads it and when (R4)', () => {
    expect(problemsOf({ ...WIRE, deadline: '2026-03-25T10:00:00.000Z' })).toEqual(['deadline deadline_passed']);
    expect(problemsOf({ ...WIRE, deadline: '2026-03-25T10:00:00.001Z' })).toEqual([]);
    expect(problemsOf({ ...WIRE, deadline: null })).toEqual([]);
    for (const deadline of ['tomorrow', '2026-02-30T10:00:00Z', '2027-01-01', '2027-01-01T00:00:00', 5]) {
      expect(problemsOf({ ...WIRE, deadline })).toEqual(['deadline malformed']);
    }
  });

  it('expires at its deadline, or never', () => {
    expect(hasExpired({ deadlineMs: 10 }, 9)).toBe(false);
    expect(hasExpired({ deadlineMs: 10 }, 10)).toBe(true);
    expect(hasExpired({ deadlineMs: null }, Number.MAX_SAFE_INTEGER)).toBe(false);
  });

  it('has keys of 1 to 255 characters', () => {
    expect(problemsOf({ ...WIRE, idempotency_key: 'x'.repeat(255) })).toEqual([]);
    expect(problemsOf({ ...WIRE, idempotency_key: 'x'.repeat(256) })).toEqual(['idempotency_key malformed']);
    expect(problemsOf({ ...WIRE, idempotency_key: '' })).toEqual(['idempotency_key missing']);
    expect(problemsOf({ ...WIRE, idempotency_key: 'a\nb' })).toEqual(['idempotency_key malformed']);
  });

  it('touches what its arguments say and lies in their lane', () => {
    expect(problemsOf({ ...WIRE, entity_key: `conversation:${USER}` })).toEqual(['entity_key mismatch']);
    for (const key of [null, '', USER, 'call:CA-42']) expect(problemsOf(WIRE, key)).toEqual(['key mismatch']);
    // A call waits its turn in the conversation it names, and has a lane of its own without one.
    expect(problemsOf(call({ conversation_id: CONVERSATION }), CONVERSATION)).toEqual([]);
    expect(problemsOf(call({ conversation_id: CONVERSATION }), CALL_KEY)).toEqual(['key mismatch']);
    expect(problemsOf(call({ conversation_id: null }), CALL_KEY)).toEqual([]);
    expect(problemsOf(call({ conversation_id: null }), CONVERSATION)).toEqual(['key mismatch']);
  });

  it('is refused with an unknown capability, or arguments of another', () => {
    expect(problemsOf({ ...WIRE, capability: 'conversation.delete' })).toEqual(['capability unknown']);
    expect(problemsOf({ ...WIRE, capability: 'constructor' })).toEqual(['capability unknown']);
    expect(problemsOf({ ...WIRE, capability: 'conversation.status.write' })).toEqual(['args mismatch']);
    for (const args of [null, undefined, 'text', [], {}, { 'fibric.kustomer.NoteWrite': null }]) {
      const [problem, ...more] = problemsOf({ ...WIRE, args });
      expect(more).toEqual([]);
      expect(problem).toMatch(/^args /);
    }
  });
});

describe('arguments', () => {
  it.each([
    ['an empty note', note({ conversation_id: CONVERSATION, body: '' }), 'args.body malformed'],
    ['a blank note', note({ conversation_id: CONVERSATION, body: ' \n\t ' }), 'args.body malformed'],
    ['a long note', note({ conversation_id: CONVERSATION, body: 'x'.repeat(10_241) }), 'args.body too_long'],
    ['control characters', note({ conversation_id: CONVERSATION, body: 'a\u0000b' }), 'args.body malformed'],
    ['more than a note', note({ conversation_id: CONVERSATION, body: 'x', meta: {} }), 'args unknown'],
    ['a status of its own', status({ status: 'closed' }), 'args.status malformed'],
    ['a snooze without end', status({ status: 'snoozed' }), 'args.snooze_until malformed'],
    ['an end without snooze', status({ snooze_until: '2026-04-01T00:00:00Z' }), 'args.snooze_until malformed'],
    ['a snooze until words', status({ status: 'snoozed', snooze_until: 'soon' }), 'args.snooze_until malformed'],
    ['nobody to add', assignment({ users: [], teams: [] }), 'args.users malformed'],
    ['neither users nor teams', assignment({ users: null, teams: null, mode: 'set' }), 'args.users malformed'],
    ['eleven users', assignment({ users: Array.from({ length: 11 }, (_, i) => hex(i)) }), 'args.users too_long'],
    ['the same user twice', assignment({ users: [USER, USER] }), 'args.users malformed'],
    ['another mode', assignment({ mode: 'replace' }), 'args.mode malformed'],
  ])('are refused: %s', (_, wire, problem) => {
    expect(problemsOf(wire)).toEqual([problem]);
  });

  it.each([
    ['a call of nobody', { phone: null }, 'args.phone malformed'],
    ['a number as people write it', { phone: '(555) 0100' }, 'args.phone malformed'],
    ['a state of its own', { state: 'queued' }, 'args.state malformed'],
    ['a recording over plain http', { recording_url: 'http://x.example/a' }, 'args.recording_url malformed'],
    ['a recording with a password', { recording_url: 'https://u:p@x.example/a' }, 'args.recording_url malformed'],
    ['a script', { recording_url: 'javascript:alert(1)' }, 'args.recording_url malformed'],
    ['a time without zone', { ended_at: '2026-03-25T10:00:00' }, 'args.ended_at malformed'],
  ])('of calls are refused: %s', (_, args, problem) => {
    expect(problemsOf(call(args), CALL_KEY)).toEqual([problem]);
  });

  it.each(['a,b', 'a/b', 'a=b', '..', ' a', 'a b', 'x'.repeat(129)])('never have the call id %j', (callId) => {
    const wire = { ...call({ call_id: callId }), entity_key: `call:${callId}` };
    expect(problemsOf(wire, `call:${callId}`)).toEqual(['args.call_id malformed']);
  });

  it('at their bounds are taken', () => {
    expect(problemsOf(note({ conversation_id: CONVERSATION, body: 'x'.repeat(10_240) }))).toEqual([]);
    expect(problemsOf(note({ conversation_id: CONVERSATION, body: 'Zeile\r\n\tzwei 🎈' }))).toEqual([]);
    expect(problemsOf(status({ status: 'snoozed', snooze_until: '2026-04-01T02:00:00+02:00' }))).toEqual([]);
    expect(problemsOf(assignment({ users: [], teams: null, mode: 'set' }))).toEqual([]);
    expect(problemsOf(assignment({ teams: [TEAM], mode: 'remove' }))).toEqual([]);
    expect(problemsOf(call({ phone: null, customer_id: USER, from: 'sip:a@b.example', to: '101' }), CALL_KEY)).toEqual(
      [],
    );
  });
});

const hex = (n: number) => n.toString(16).padStart(24, '0');

describe('what cannot be attributed', () => {
  it.each(['command_id', 'tenant_id', 'connection'])('is told apart: no %s (R2)', (field) => {
    for (const bad of [undefined, null, '', 5, 'a b', 'x'.repeat(200)]) {
      const reading = readCommand({ ...WIRE, [field]: bad }, at());
      expect(reading.kind).toBe('unattributable');
    }
  });

  it('is all that is no record at all', () => {
    for (const value of [undefined, null, 5, 'x', [], {}]) expect(readCommand(value, at()).kind).toBe('unattributable');
  });

  it('is not what is merely wrong: all problems at once, and what was right for the receipt (R3)', () => {
    const reading = readCommand({ ...WIRE, mode: 'x', operator: null, correlation_id: 'a b', plan_id: 'a b' }, at());
    expect(reading).toMatchObject({
      kind: 'invalid',
      facts: {
        commandId: 'cmd_1',
        capability: 'conversation.note.write',
        entityKey: `conversation:${CONVERSATION}`,
        operator: null,
        correlationId: null,
        planId: null,
        mode: 'dry_run',
      },
      problems: [
        { field: 'plan_id' },
        { field: 'operator', code: 'missing' },
        { field: 'correlation_id' },
        { field: 'mode' },
      ],
    });
  });

  it('may still be told by the headers of what does not decode', () => {
    const claimed = { commandId: 'cmd_1', tenantId: 't_acme', connection: 'cn_1' };
    expect(readUndecodable(claimed, 'is no Avro')).toMatchObject({
      kind: 'invalid',
      facts: { ...claimed, capability: null, idempotencyKey: null, mode: 'dry_run' },
      problems: [{ field: 'value', code: 'undecodable', message: 'value is no Avro' }],
    });
    for (const field of ['commandId', 'tenantId', 'connection']) {
      for (const bad of [null, '', '../x y']) {
        expect(readUndecodable({ ...claimed, [field]: bad }, 'is no Avro').kind).toBe('unattributable');
      }
    }
  });

  it('follows the same rule for tenants as topics do', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 110 }), fc.stringMatching(/^[A-Za-z0-9_-]{0,102}$/)), (tenant) => {
        const attributable = readCommand({ ...WIRE, tenant_id: tenant }, at()).kind === 'command';
        expect(attributable).toBe(TENANT_ID.test(tenant));
      }),
    );
  });
});

describe('no data', () => {
  it('throws, and none of it stands in a problem', () => {
    const canary = 'CANARYwords';
    const anything = fc.oneof(fc.anything(), fc.constant(canary), fc.constant({ [canary]: canary }));
    const fields = fc.dictionary(fc.constantFrom(...Object.keys(WIRE)), anything, { maxKeys: 4 });
    const args = fc.dictionary(fc.constantFrom(...Object.keys(CALL_ARGS), 'body', 'users'), anything);
    fc.assert(
      fc.property(fields, args, fc.constantFrom(WIRE, STATUS, ASSIGNMENT, CALL), (changed, inner, wire) => {
        const [branch, whole] = Object.entries(wire.args)[0] as [string, object];
        const value = { ...wire, args: { [branch]: { ...whole, ...inner } }, ...changed };
        const reading = readCommand(value, at());
        if (reading.kind === 'command') return;
        expect(reading.problems.length).toBeGreaterThan(0);
        for (const { code, message } of reading.problems) {
          expect(PROBLEM_CODES).toContain(code);
          expect(message).not.toContain(canary);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a command of this house', () => {
  const input = {
    commandId: 'cmd_1',
    tenantId: 't_acme',
    connection: 'kustomer-prod',
    capability: 'conversation.status.write',
    args: { conversation_id: CONVERSATION, status: 'done' },
    idempotencyKey: 'k',
    operator: 'cli',
    correlationId: 'co_1',
    mode: 'dry_run' as const,
  };

  it('is what its reader takes: what may be null is filled in, the keys follow from the arguments', () => {
    const composed = composeCommand(input, NOW_MS);
    if ('problems' in composed) throw new Error(JSON.stringify(composed.problems));
    const type = createCommandType();
    const read = readCommand(type.fromBuffer(type.toBuffer(composed.wire)), at(composed.key));
    expect(read).toEqual({ kind: 'command', command: composed.command });
    expect(composed).toMatchObject({ key: CONVERSATION, wire: { entity_key: `conversation:${CONVERSATION}` } });
  });

  it('is refused where its reader would refuse it', () => {
    expect(composeCommand({ ...input, capability: 'x' }, NOW_MS)).toMatchObject({
      problems: [{ field: 'capability' }],
    });
    expect(composeCommand({ ...input, args: 5 }, NOW_MS)).toMatchObject({ problems: [{ field: 'args' }] });
    expect(composeCommand({ ...input, deadlineMs: NOW_MS, idempotencyKey: '' }, NOW_MS)).toMatchObject({
      problems: [{ field: 'idempotency_key' }, { field: 'deadline' }],
    });
  });
});
