/** A body as it may come in now: another event each time. */
import { randomBytes } from 'node:crypto';
import { conversationUpdate } from '../lib/conversation-update.ts';

export function webhookBody(conversationId: string, rev: number, org = '5a8f1c2e9b1d4e0012ab34cd'): string {
  const newId = () => randomBytes(12).toString('hex');
  return conversationUpdate({ conversationId, eventId: newId(), org, rev, at: new Date().toISOString(), newId });
}
