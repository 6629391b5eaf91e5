import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CALL_STATES } from '../../../../src/fibric/commands/call-status-write.ts';
import { type CallArgs, callText, coversCall, mergeCall, rankOf } from '../../../../src/sinks/actions/call-states.ts';
import { CALL_ARGS } from '../../fibric/commands/samples.ts';

const call = (more: Partial<CallArgs>): CallArgs => ({ ...(CALL_ARGS as CallArgs), ...more });

const time = fc.constantFrom(null, '2026-03-25T10:00:00Z', '2026-03-25T10:00:05.500Z', '2026-03-25T12:01:00+02:00');
const commands = fc.record({
  state: fc.constantFrom(...CALL_STATES),
  from: fc.constantFrom(null, '+15550100', '+15550101'),
  placed_at: time,
  answered_at: time,
  ended_at: time,
  recording_url: fc.constantFrom(null, 'https://r.example/1', 'https://r.example/2'),
});
const metas = fc.record(
  {
    status: fc.constantFrom<unknown>(...CALL_STATES, 'queued', '', null, 5),
    from: fc.constantFrom<unknown>('+15550100', '', null),
    answeredAt: fc.constantFrom<unknown>('2026-03-25T10:00:00.000Z', 'once', null),
    permalink: fc.constant('https://k.example/x'),
    recordingSid: fc.integer(),
  },
  { requiredKeys: [] },
);

describe('the state of a call', () => {
  it('never falls (M1)', () => {
    fc.assert(
      fc.property(metas, commands, (meta, command) => {
        const merged = mergeCall(meta, call(command));
        expect(rankOf(merged['status'])).toBeGreaterThanOrEqual(rankOf(meta.status));
        expect(rankOf(merged['status'])).toBeGreaterThanOrEqual(rankOf(command.state));
      }),
      { numRuns: 2000 },
    );
  });

  it('comes to the same in whatever order the commands come', () => {
    fc.assert(
      fc.property(fc.array(commands, { minLength: 1, maxLength: 8 }), fc.infiniteStream(fc.nat()), (list, keys) => {
        const fold = (inOrder: readonly (typeof list)[number][]) =>
          inOrder.reduce<Readonly<Record<string, unknown>>>((meta, one) => mergeCall(meta, call(one)), {})['status'];
        const shuffled = list
          .map((one) => ({ one, key: keys.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one);
        expect(fold(shuffled)).toBe(fold(list));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['completed', 'ringing', 'completed'],
    ['completed', 'in_progress', 'completed'],
    ['missed', 'in_progress', 'missed'],
    ['missed', 'completed', 'completed'],
    ['voicemail', 'completed', 'voicemail'],
    ['in_progress', 'missed', 'missed'],
    ['queued', 'ringing', 'ringing'],
  ])('%s, then %s, is %s', (before, then, after) => {
    const state = then as CallArgs['state'];
    expect(mergeCall({ status: before }, call({ state }))['status']).toBe(after);
  });
});

describe('the facts of a call', () => {
  it('are said anew by a command that does not fall behind, and only filled in by one that does (M2)', () => {
    const meta = { status: 'in_progress', answeredAt: '2026-03-25T10:00:00.000Z', from: '' };
    const said = { answered_at: '2026-03-25T10:00:09Z', from: '+15550101' };
    expect(mergeCall(meta, call({ state: 'completed', ...said }))).toMatchObject({
      status: 'completed',
      answeredAt: '2026-03-25T10:00:09.000Z',
      from: '+15550101',
    });
    expect(mergeCall(meta, call({ state: 'ringing', ...said }))).toMatchObject({
      status: 'in_progress',
      answeredAt: '2026-03-25T10:00:00.000Z',
      from: '+15550101',
    });
  });

  it('stay where the command says nothing, and so does what others keep there (M3)', () => {
    fc.assert(
      fc.property(metas, commands, (meta, command) => {
        const merged = mergeCall(meta, call(command));
        expect(merged['permalink']).toBe(meta.permalink);
        expect(merged['recordingSid']).toBe(meta.recordingSid);
        if (command.answered_at === null) expect(merged['answeredAt']).toBe(meta.answeredAt);
      }),
    );
  });

  it('do not change when the same command comes again, so that what was merged is known (M4)', () => {
    fc.assert(
      fc.property(metas, commands, (meta, command) => {
        const merged = mergeCall(meta, call(command));
        expect(mergeCall(merged, call(command))).toEqual(merged);
        expect(coversCall(merged, call(command))).toBe(true);
        expect(JSON.parse(JSON.stringify(merged))).toEqual(merged);
      }),
      { numRuns: 2000 },
    );
  });

  it('are covered in another form of the same time, and not when one is missing', () => {
    const command = call({ placed_at: '2026-03-25T09:59:50Z' });
    const meta = mergeCall({}, command);
    expect(coversCall({ ...meta, placedAt: '2026-03-25T10:59:50+01:00' }, command)).toBe(true);
    expect(coversCall({ ...meta, placedAt: undefined }, command)).toBe(false);
    expect(coversCall({ ...meta, status: 'queued' }, command)).toBe(false);
    expect(coversCall({}, command)).toBe(false);
  });

  it('are told in words', () => {
    expect(callText('in', 'in_progress')).toBe('Inbound call: in progress');
    expect(callText('out', 'queued')).toBe('Outbound call');
  });
});
