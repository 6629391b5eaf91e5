/** Commands as producers send them, one per capability. */
import type { WireCommand } from '../../../../src/fibric/commands/command.ts';

export const NOW_MS = Date.UTC(2026, 2, 25, 10, 0, 0);
export const CONVERSATION = '65aa000000000000000000c1';
export const USER = '5f00000000000000000000a1';
export const TEAM = '5f00000000000000000000b1';
export const CUSTOMER = '64bb000000000000000000d2';

export const WIRE: WireCommand = {
  command_id: 'cmd_1',
  tenant_id: 't_acme',
  connection: 'kustomer-prod',
  capability: 'conversation.note.write',
  args: { 'fibric.kustomer.NoteWrite': { conversation_id: CONVERSATION, body: 'Order SO-1 is late.' } },
  entity_key: `conversation:${CONVERSATION}`,
  idempotency_key: 'order-risk:SO-1:note',
  operator: 'order-risk',
  agent_id: null,
  plan_id: 'pl_1',
  action_id: 'act_1',
  event_id: '2f1e9a3c-0000-5000-8000-000000000001',
  correlation_id: 'co_51bb02',
  value: null,
  requested_at: '2026-03-25T09:59:59.000Z',
  deadline: '2026-03-25T10:05:00Z',
  mode: 'live',
};

export const STATUS_ARGS = { conversation_id: CONVERSATION, status: 'done', snooze_until: null };
export const ASSIGNMENT_ARGS = { conversation_id: CONVERSATION, users: [USER], teams: null, mode: 'add' };
export const CALL_ARGS = {
  call_id: 'CA-42',
  phone: '+15550100',
  customer_id: null,
  conversation_id: null,
  state: 'ringing',
  direction: 'in',
  from: '+15550100',
  to: '+15550199',
  placed_at: '2026-03-25T09:59:50Z',
  answered_at: null,
  ended_at: null,
  recording_url: null,
};

export const STATUS: WireCommand = {
  ...WIRE,
  capability: 'conversation.status.write',
  args: { 'fibric.kustomer.StatusWrite': STATUS_ARGS },
};
export const ASSIGNMENT: WireCommand = {
  ...WIRE,
  capability: 'conversation.assignment.write',
  args: { 'fibric.kustomer.AssignmentWrite': ASSIGNMENT_ARGS },
};
export const CALL: WireCommand = {
  ...WIRE,
  capability: 'call.status.write',
  args: { 'fibric.kustomer.CallStatusWrite': CALL_ARGS },
  entity_key: 'call:CA-42',
};

export const NOTE_KEY = CONVERSATION;
export const CALL_KEY = 'call:CA-42';
