/** Which of an organisation's outbound webhooks are a connection's, where they point and what they must send. Pure. */
import { CodedError } from '../../base/errors.ts';
import type { Connection, ConnectionWithTokens } from '../../fibric/connection.ts';
import type { OutboundWebhook } from '../../kustomer/client/outbound-webhooks.ts';
import { EVENT_NAMES, type EventName } from '../../kustomer/event-names.ts';
import { WEBHOOK_PATH } from '../webhook-path.ts';

/** What Kustomer takes. */
const MAX_URL_LENGTH = 255;
const LOOPBACK = /^(?:localhost|\[::1\]|127\.\d+\.\d+\.\d+)$/;

/** The address Kustomer is to deliver to. Throws `config_invalid` for one it would not take. */
export function webhookUrl(publicUrl: string, connectionId: string): string {
  const url = URL.canParse(publicUrl) ? new URL(publicUrl) : null;
  const plain = url?.protocol === 'http:' && LOOPBACK.test(url.hostname);
  if (url === null || !(url.protocol === 'https:' || plain)) {
    throw new CodedError('config_invalid', 'the public URL must be https (http only on this machine)');
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new CodedError('config_invalid', 'the public URL must be a host, at most with a path in front of ours');
  }
  const whole = `${url.origin}${url.pathname.replace(/\/+$/, '')}${WEBHOOK_PATH}${connectionId}`;
  if (whole.length <= MAX_URL_LENGTH) return whole;
  throw new CodedError('config_invalid', `the webhook's URL would be longer than the ${MAX_URL_LENGTH} Kustomer takes`);
}

/** Without these the connection misses events it emits. */
export function neededEvents({ settings }: Connection): readonly EventName[] {
  if (settings.extendedEvents) return EVENT_NAMES;
  return EVENT_NAMES.filter((name) => /^kustomer\.(?:conversation|message|customer)\./.test(name));
}

export function missingEvents(webhook: OutboundWebhook, connection: Connection): readonly EventName[] {
  return neededEvents(connection).filter((name) => !webhook.events.includes(name));
}

/** By id, by address, or by the token it signs with: a gateway in front may have given it another address. */
export function isOwn(webhook: OutboundWebhook, connection: ConnectionWithTokens): boolean {
  const { webhookId, previousWebhookId } = connection;
  if (webhook.id === webhookId || webhook.id === previousWebhookId) return true;
  return pointsTo(webhook, connection) || tokenKnown(webhook, connection) === true;
}

export function pointsTo({ url }: OutboundWebhook, { connectionId }: Connection): boolean {
  if (url === null || !URL.canParse(url)) return false;
  return new URL(url).pathname.endsWith(`${WEBHOOK_PATH}${connectionId}`);
}

/** Null where Kustomer does not show the token. */
export function tokenKnown({ token }: OutboundWebhook, { webhookTokens }: ConnectionWithTokens): boolean | null {
  return token === null ? null : webhookTokens.some((live) => live.reveal() === token.reveal());
}
