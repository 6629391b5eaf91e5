/**
 * Which envelopes a change must lead to, with default settings (extended events off). Told from the vendor's side, on
 * purpose without the processor's code: verify compares the two.
 */
import type { ModelEvent } from '../model/event.ts';
import type { Attributes } from '../model/resource.ts';

export interface ExpectedEnvelope {
  readonly event_type: string;
  /** Payload fields and their values; fields not listed are not judged. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export function expectedEnvelopes(event: ModelEvent): readonly ExpectedEnvelope[] {
  const { attributes, relationships } = event.body.data;
  switch (event.name) {
    case 'kustomer.conversation.create':
      return [
        {
          event_type: 'conversation.created',
          fields: {
            conversation_id: event.id,
            customer_id: relatedId(relationships, 'customer'),
            status: attributes['status'],
            direction: attributes['direction'],
          },
        },
      ];
    case 'kustomer.message.create':
      return [
        {
          event_type: 'conversation.message.created',
          fields: {
            message_id: event.id,
            conversation_id: relatedId(relationships, 'conversation'),
            customer_id: relatedId(relationships, 'customer'),
            channel: attributes['channel'],
            direction: attributes['direction'],
          },
        },
      ];
    case 'kustomer.conversation.update':
      return [...statusChange(event), ...satisfactionAnswer(event)];
    case 'kustomer.customer.update':
      return [{ event_type: 'customer.updated', fields: { customer_id: event.id, name: attributes['name'] } }];
    default:
      return [];
  }
}

function statusChange(event: ModelEvent): readonly ExpectedEnvelope[] {
  const change = event.body.changes?.attributes['status'];
  if (change === undefined) return [];
  return [
    {
      event_type: 'conversation.status.changed',
      fields: {
        conversation_id: event.id,
        status: change.after,
        previous_status: change.before,
        reopened: change.before === 'done' && change.after === 'open',
        // Absent at the vendor until the first reopen: null, not 0.
        reopen_count: event.body.data.attributes['reopenCount'] ?? null,
      },
    },
  ];
}

function satisfactionAnswer(event: ModelEvent): readonly ExpectedEnvelope[] {
  const level = event.body.changes?.attributes['satisfactionLevel']?.after as Attributes | undefined;
  if (level?.['status'] !== 'rated' && level?.['status'] !== 'commented') return [];
  return [
    {
      event_type: 'conversation.satisfaction.updated',
      fields: {
        conversation_id: event.id,
        satisfaction: {
          response_id: level['formResponse'],
          form_id: level['form'],
          status: level['status'],
          score: level['score'] ?? null,
          rating: level['rating'] ?? null,
          channel: level['channel'],
          sent_by: level['sentBy'] ?? null,
          sent_by_teams: level['sentByTeams'],
          sent_at: level['sentAt'],
          created_at: level['createdAt'],
          updated_at: level['updatedAt'],
        },
      },
    },
  ];
}

function relatedId(relationships: Readonly<Record<string, unknown>>, name: string): string | null {
  const related = relationships[name] as { data?: { id?: string } } | undefined;
  return related?.data?.id ?? null;
}
