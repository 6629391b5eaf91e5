/**
 * The read capabilities over the shared clients: urgent as probes are, since somebody waits for the answer, and within the
 * same budget as everything else.
 */
import type { ReadPort, VendorRead } from '../../api/data/ports.ts';
import { hasCode } from '../../base/errors.ts';
import type { Connection } from '../../fibric/connection.ts';
import { readOrders } from '../../ingest/enrich/orders.ts';
import type { KustomerClient } from '../../kustomer/client/client.ts';
import type { Page, Resource } from '../../kustomer/client/documents.ts';
import {
  getConversation,
  getCustomer,
  listConversationMessages,
  listCustomerConversations,
} from '../../kustomer/client/operations.ts';
import type { Failure, Outcome } from '../../kustomer/client/outcome.ts';
import { conversationFacts } from '../../processors/payload/conversation.ts';
import { contactHistoryOf, customerFacts } from '../../processors/payload/customer.ts';
import { messageFacts } from '../../processors/payload/message.ts';
import { ordersOf } from '../../processors/payload/order.ts';
import { objectOf, relatedIdOf, textOf } from '../../processors/read.ts';

export interface ReadPortOptions {
  /** Throws a CodedError when nothing can be called through the connection. */
  readonly clientOf: (connection: Connection) => KustomerClient;
}

type Fields = Readonly<Record<string, unknown>>;

const LANE = 'probes';
/** Longest wait for the budget. */
const WAIT_MS = 5_000;
const PAGE_SIZE = 100;
/** Of messages and of conversations; people look at the latest. */
const MAX_PAGES = 3;

export function openReadPort({ clientOf }: ReadPortOptions): ReadPort {
  return {
    conversation: (connection, id, signal) =>
      reading(async () => {
        const client = clientOf(connection);
        const ask = { lane: LANE, waitMs: WAIT_MS, signal } as const;
        const [conversation, messages] = await Promise.all([
          getConversation(client, id, ask).then(body),
          pages((page) => listConversationMessages(client, id, { ...ask, page, pageSize: PAGE_SIZE })),
        ]);
        return {
          conversation: conversationOf(conversation),
          messages: oldestFirst(messages.items.map(messageOf)),
          messagesComplete: messages.isWhole,
        };
      }),
    customer: (connection, id, signal) =>
      reading(async () => {
        const client = clientOf(connection);
        const ask = { lane: LANE, waitMs: WAIT_MS, signal } as const;
        const klass = connection.settings.orderKlass;
        const [customer, contacts, orders] = await Promise.all([
          getCustomer(client, id, ask).then(body),
          pages((page) => listCustomerConversations(client, id, { ...ask, page, pageSize: PAGE_SIZE })),
          klass === null ? null : readOrders(client, { ...ask, customerId: id, klass }),
        ]);
        const shown = orderFields(orders);
        return {
          customer: customerOf(customer),
          orders: shown.orders,
          ordersState: shown.orders_state ?? 'skipped',
          contacts: oldestFirst(contacts.items.map(contactOf)).reverse(),
          contactsComplete: contacts.isWhole,
        };
      }),
  };
}

/** What ends a reading: thrown here, and answered as a refusal. */
class Refused extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

async function reading<T>(read: () => Promise<T>): Promise<VendorRead<T>> {
  try {
    return { ok: true, value: await read() };
  } catch (error) {
    if (error instanceof Refused) {
      const { code, status, message, retryAtMs } = error.failure;
      return { ok: false, refusal: { code, status, message, retryAtMs } };
    }
    if (!hasCode(error, 'config_invalid', 'secret_unreadable')) throw error;
    // No key, or one that cannot be opened here.
    return {
      ok: false,
      refusal: { code: 'kustomer_permission', status: null, message: error.message, retryAtMs: null },
    };
  }
}

function body<T>(outcome: Outcome<T>): T {
  if (outcome.kind === 'ok') return outcome.body;
  throw new Refused(outcome);
}

async function pages(read: (page: number) => Promise<Outcome<Page>>) {
  const items: Resource[] = [];
  for (let number = 1; number <= MAX_PAGES; number += 1) {
    const page = body(await read(number));
    items.push(...page.items);
    if (page.next === null) return { items, isWhole: true };
  }
  return { items, isWhole: false };
}

function snapshotOf(resource: Resource) {
  return {
    attributes: objectOf(resource['attributes']),
    relationships: objectOf(resource['relationships']),
    changedAttributes: {},
  };
}

function conversationOf(resource: Resource): Fields {
  const snapshot = snapshotOf(resource);
  return {
    conversation_id: resource.id,
    customer_id: relatedIdOf(snapshot.relationships['customer']),
    status: textOf(snapshot.attributes['status']),
    ...conversationFacts(snapshot),
    preview: textOf(snapshot.attributes['preview']),
  };
}

function messageOf(resource: Resource): Fields {
  return { message_id: resource.id, ...messageFacts(snapshotOf(resource)) };
}

function customerOf(resource: Resource): Fields {
  const snapshot = snapshotOf(resource);
  return { customer_id: resource.id, ...customerFacts(snapshot), contact_history: contactHistoryOf(snapshot) };
}

/** One line of the contact history. */
function contactOf(resource: Resource): Fields {
  const {
    conversation_id,
    status,
    channels,
    direction,
    name,
    created_at,
    last_message_at,
    reopen_count,
    message_count,
  } = conversationOf(resource);
  return {
    conversation_id,
    status,
    channels,
    direction,
    name,
    created_at,
    last_message_at,
    reopen_count,
    message_count,
  };
}

/** A customer without readable orders is a customer all the same. */
function orderFields(orders: Awaited<ReturnType<typeof readOrders>> | null) {
  if (orders === null) return ordersOf(null);
  if (!('kind' in orders)) return ordersOf({ ordersState: orders.state, orders: orders.orders });
  const state = orders.kind === 'permission' ? 'forbidden' : 'unavailable';
  return ordersOf({ ordersState: state, orders: null });
}

function oldestFirst(rows: readonly Fields[]): Fields[] {
  const ms = (row: Fields): number => Date.parse(String(row['created_at'] ?? '')) || 0;
  return [...rows].sort((a, b) => ms(a) - ms(b));
}
