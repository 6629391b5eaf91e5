import { describe, expect, it } from 'vitest';
import type { Sight } from '../../../../src/sinks/actions/action.ts';
import { type CallArgs, mergeCall } from '../../../../src/sinks/actions/call-states.ts';
import { callStatusWrite as action } from '../../../../src/sinks/actions/call-status-write.ts';
import { CALL_ARGS, CONVERSATION, CUSTOMER } from '../../fibric/commands/samples.ts';
import { one, planning, readingBack } from './sights.ts';

const MESSAGE = '65bb000000000000000000e1';
const call = (more: Partial<CallArgs> = {}): CallArgs => ({ ...(CALL_ARGS as CallArgs), ...more });
const ABSENT: Sight = { kind: 'absent' };

const message = (meta: object, attributes: object = {}): Record<string, Sight> => ({
  message: one('message', MESSAGE, { channel: 'voice', app: 'fibric', direction: 'in', meta, ...attributes }),
});

const plan = (args: CallArgs, sights: Record<string, Sight> = {}) => action.plan(args, planning(sights));

describe('a call', () => {
  it('is looked for by its id, then its customer by the phone', () => {
    expect(plan(call())).toMatchObject({
      do: 'read',
      read: { mayBeAbsent: true, request: { path: ['messages', 'externalId=CA-42'] } },
    });
    expect(plan(call(), { message: ABSENT })).toMatchObject({
      do: 'read',
      read: { mayBeAbsent: true, request: { path: ['customers', 'phone=+15550100'] } },
    });
  });

  it('becomes one voice message of its customer', () => {
    const step = plan(call(), { message: ABSENT, customer: one('customer', CUSTOMER, {}) });
    expect(step).toEqual({
      do: 'write',
      request: {
        operation: 'message.create',
        method: 'POST',
        path: ['messages'],
        body: {
          customer: CUSTOMER,
          channel: 'voice',
          app: 'fibric',
          direction: 'in',
          externalId: 'CA-42',
          preview: 'Inbound call: ringing',
          status: 'received',
          sentAt: '2026-03-25T09:59:50.000Z',
          auto: false,
          meta: {
            status: 'ringing',
            from: '+15550100',
            to: '+15550199',
            placedAt: '2026-03-25T09:59:50.000Z',
          },
        },
        permission: 'org.permission.message.create',
      },
      basis: null,
    });
  });

  it('goes where the command says, without looking for the customer', () => {
    expect(plan(call({ conversation_id: CONVERSATION }), { message: ABSENT })).toMatchObject({
      request: { path: ['conversations', CONVERSATION, 'messages'], body: { channel: 'voice' } },
    });
    expect(plan(call({ customer_id: CUSTOMER }), { message: ABSENT })).toMatchObject({
      request: { path: ['messages'], body: { customer: CUSTOMER } },
    });
  });

  it('of nobody, or of several, is refused', () => {
    const code = (customer: Sight) => plan(call(), { message: ABSENT, customer });
    expect(code(ABSENT)).toMatchObject({ do: 'refuse', code: 'customer_not_found' });
    expect(code({ kind: 'several', count: 2 })).toMatchObject({ do: 'refuse', code: 'customer_ambiguous' });
  });

  it('goes on in its message: all of meta, with what others keep there', () => {
    const step = plan(call({ state: 'completed', direction: 'out' }), message({ status: 'ringing', sid: 5 }));
    expect(step).toMatchObject({
      do: 'write',
      request: {
        method: 'PATCH',
        path: ['messages', MESSAGE],
        body: { meta: { status: 'completed', sid: 5, from: '+15550100' }, preview: 'Inbound call: completed' },
        permission: 'org.permission.message.update',
      },
    });
    const body = step.do === 'write' ? Object.keys(step.request.body ?? {}) : [];
    expect(body.sort()).toEqual(['meta', 'preview']);
  });

  it('is not written when it says nothing new, so never moves backwards (A2)', () => {
    const completed = mergeCall({}, call({ state: 'completed' }));
    expect(plan(call({ state: 'ringing' }), message(completed))).toEqual({ do: 'nothing', vendorId: MESSAGE });
    expect(plan(call({ state: 'completed' }), message(completed))).toEqual({ do: 'nothing', vendorId: MESSAGE });
  });

  it.each([
    ['another app', { app: 'aircall' }],
    ['another channel', { channel: 'email' }],
  ])('leaves the message of %s alone', (_, attributes) => {
    expect(plan(call(), message({}, attributes))).toMatchObject({ do: 'refuse', code: 'call_foreign' });
    expect(action.readBack(call(), readingBack(message({}, attributes)))).toMatchObject({
      finding: { kind: 'unreadable' },
    });
  });

  it('is left alone where several messages have its id', () => {
    expect(plan(call(), { message: { kind: 'several', count: 2 } })).toMatchObject({ code: 'call_foreign' });
  });

  it('is found when its message says all of it, and absent when not', () => {
    const finding = (sights: Record<string, Sight>, args = call({ state: 'completed' })) => {
      const step = action.readBack(args, readingBack(sights));
      return step.do === 'tell' ? step.finding : step.do;
    };
    expect(finding({})).toBe('read');
    expect(finding({ message: ABSENT })).toEqual({ kind: 'absent' });
    expect(finding(message({ status: 'ringing' }))).toEqual({ kind: 'absent' });
    const merged = mergeCall({ status: 'ringing', sid: 5 }, call({ state: 'completed' }));
    expect(finding(message(merged))).toEqual({ kind: 'found', vendorId: MESSAGE });
    const overtaken = mergeCall(merged, call({ state: 'voicemail' }));
    expect(finding(message(overtaken))).toEqual({ kind: 'found', vendorId: MESSAGE });
  });
});
