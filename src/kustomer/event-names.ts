/** The event names an outbound webhook can subscribe to: the AsyncAPI's ten, and `tag`, which only the API lists. */
export const EVENT_NAMES = [
  'kustomer.customer.create',
  'kustomer.customer.update',
  'kustomer.conversation.create',
  'kustomer.conversation.update',
  'kustomer.message.create',
  'kustomer.message.update',
  'kustomer.user.create',
  'kustomer.user.update',
  'kustomer.team.create',
  'kustomer.team.update',
  'kustomer.tag.create',
  'kustomer.tag.update',
] as const;

export type EventName = (typeof EVENT_NAMES)[number];

const KNOWN: ReadonlySet<string> = new Set(EVENT_NAMES);

/** Names we do not know are kept all the same: the vendor adds names without telling. */
export function isKnownEventName(name: string): name is EventName {
  return KNOWN.has(name);
}
