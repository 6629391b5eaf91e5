/**
 * A call on the customer's timeline: one voice message per call, found by the call's id as its external id.
 *
 * Messages have no `rev`, so what keeps two writes from crossing is the lane. A call is real contact: it counts in reports
 * (`auto` is false) and an inbound one may reopen its conversation, as a message of the customer's would.
 */
import { instantText, parseInstant } from '../../fibric/commands/instant.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { objectOrEmpty, textOrNull } from '../../kustomer/json.ts';
import { type Action, type PlanStep, type Sights, tell, type VendorRead } from './action.ts';
import { type CallArgs, callText, coversCall, mergeCall } from './call-states.ts';

const MESSAGE_READ = 'org.permission.message.read';
const MESSAGE_CREATE = 'org.permission.message.create';
const MESSAGE_UPDATE = 'org.permission.message.update';
const CUSTOMER_READ = 'org.permission.customer.read';

/** Kustomer wants one name per integration: messages of other apps are not ours to change. */
export const CALL_APP = 'fibric';

export const callStatusWrite: Action<'call.status.write'> = {
  capability: 'call.status.write',
  vendorType: 'message',
  idempotentByNature: false,
  permissions: { plan: [MESSAGE_READ, MESSAGE_CREATE, MESSAGE_UPDATE, CUSTOMER_READ], readBack: [MESSAGE_READ] },
  hasBasis: false,
  answers: 'message',
  plan: (args, { seen }) => {
    const sight = seen.get('message');
    if (sight === undefined) return { do: 'read', read: readMessage(args) };
    if (sight.kind === 'one') return update(sight.resource, args);
    if (sight.kind === 'absent') return create(args, seen);
    return {
      do: 'refuse',
      code: 'call_foreign',
      message: `several messages have the external id of call ${args.call_id}`,
    };
  },
  readBack: (args, { seen }) => {
    const sight = seen.get('message');
    if (sight === undefined) return { do: 'read', read: readMessage(args) };
    if (sight.kind === 'absent') return tell({ kind: 'absent' });
    if (sight.kind !== 'one' || !isOurs(sight.resource)) {
      return tell({ kind: 'unreadable', why: `the external id of call ${args.call_id} is not ours alone` });
    }
    // Merging is monotone: a message that does not say it yet has not seen the write.
    const isCovered = coversCall(metaOf(sight.resource), args);
    return tell(isCovered ? { kind: 'found', vendorId: sight.resource.id } : { kind: 'absent' });
  },
};

function update(message: Resource, args: CallArgs): PlanStep {
  if (!isOurs(message)) {
    const text = `the message with the external id of call ${args.call_id} belongs to another app or channel`;
    return { do: 'refuse', code: 'call_foreign', message: text };
  }
  const meta = metaOf(message);
  if (coversCall(meta, args)) return { do: 'nothing', vendorId: message.id };
  const merged = mergeCall(meta, args);
  return {
    do: 'write',
    request: {
      operation: 'message.update',
      method: 'PATCH',
      path: ['messages', message.id],
      body: { meta: merged, preview: callText(directionOf(message, args), merged['status']) },
      permission: MESSAGE_UPDATE,
    },
    basis: null,
  };
}

function create(args: CallArgs, seen: Sights): PlanStep {
  const { conversation_id, customer_id } = args;
  if (conversation_id !== null) return createIn(['conversations', conversation_id, 'messages'], {}, args);
  if (customer_id !== null) return createIn(['messages'], { customer: customer_id }, args);
  const phone = args.phone as string;
  const sight = seen.get('customer');
  if (sight === undefined) return { do: 'read', read: readCustomer(phone) };
  if (sight.kind === 'one') return createIn(['messages'], { customer: sight.resource.id }, args);
  return sight.kind === 'absent'
    ? { do: 'refuse', code: 'customer_not_found', message: 'no customer has this phone number' }
    : { do: 'refuse', code: 'customer_ambiguous', message: 'several customers have this phone number' };
}

function createIn(path: readonly string[], owner: { readonly customer?: string }, args: CallArgs): PlanStep {
  const { call_id, direction, state, placed_at } = args;
  const placedMs = placed_at === null ? null : parseInstant(placed_at);
  return {
    do: 'write',
    request: {
      operation: 'message.create',
      method: 'POST',
      path,
      body: {
        ...owner,
        channel: 'voice',
        app: CALL_APP,
        direction,
        externalId: call_id,
        preview: callText(direction, state),
        status: direction === 'in' ? 'received' : 'sent',
        ...(placedMs === null ? {} : { sentAt: instantText(placedMs) }),
        auto: false,
        meta: mergeCall({}, args),
      },
      permission: MESSAGE_CREATE,
    },
    basis: null,
  };
}

function readMessage({ call_id }: CallArgs): VendorRead {
  const request = {
    operation: 'message.find',
    method: 'GET',
    path: ['messages', `externalId=${call_id}`],
    permission: MESSAGE_READ,
  } as const;
  return { name: 'message', request, shape: 'one', mayBeAbsent: true };
}

function readCustomer(phone: string): VendorRead {
  const request = {
    operation: 'customer.find',
    method: 'GET',
    path: ['customers', `phone=${phone}`],
    permission: CUSTOMER_READ,
  } as const;
  return { name: 'customer', request, shape: 'one', mayBeAbsent: true };
}

/** Where Kustomer does not show them, its word that the external id is ours must do. */
function isOurs(message: Resource): boolean {
  const { channel, app } = objectOrEmpty(message['attributes']);
  return (textOrNull(channel) ?? 'voice') === 'voice' && (textOrNull(app) ?? CALL_APP) === CALL_APP;
}

function metaOf(message: Resource) {
  return objectOrEmpty(objectOrEmpty(message['attributes'])['meta']);
}

/** Kustomer takes no other direction for a message that is there. */
function directionOf(message: Resource, args: CallArgs): CallArgs['direction'] {
  const { direction } = objectOrEmpty(message['attributes']);
  return direction === 'in' || direction === 'out' ? direction : args.direction;
}
