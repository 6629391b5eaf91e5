/** What a command may create, for whom, and what answers tell of whose a conversation is. Pure. */
import type { WriteCommand } from '../../fibric/commands/command.ts';
import { readDocument } from '../../kustomer/client/documents.ts';
import { objectOrEmpty, textOrNull } from '../../kustomer/json.ts';
import type { PaceTarget } from './customer-pace.ts';

/** Null for what creates nothing. Of a call nobody knows before it was read whether its message is there already. */
export function createdFor({ capability, args }: WriteCommand, connectionId: string): PaceTarget | null {
  switch (capability) {
    case 'conversation.note.write':
      return { connectionId, customerId: null, conversationId: args.conversation_id };
    case 'call.status.write':
      return { connectionId, customerId: args.customer_id, conversationId: args.conversation_id };
    default:
      return null;
  }
}

/** Of a conversation, or of something in one; undefined where it does not tell. */
export function customerTold(
  body: unknown,
): { readonly conversationId: string; readonly customerId: string } | undefined {
  const resource = readDocument(body);
  if (resource === undefined) return undefined;
  const relationships = objectOrEmpty(resource['relationships']);
  const related = (name: string) => textOrNull(objectOrEmpty(objectOrEmpty(relationships[name])['data'])['id']);
  const conversationId = resource.type === 'conversation' ? resource.id : related('conversation');
  const customerId = related('customer');
  return conversationId === null || customerId === null ? undefined : { conversationId, customerId };
}
