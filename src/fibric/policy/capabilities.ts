/**
 * What a policy may speak of: the writes and reads of this connector. A capability that is not listed cannot be granted or denied,
 * so that a misspelt name is told when the policy is applied and not when a command is blocked.
 */
export interface KnownCapability {
  readonly name: string;
  /**
   * Arguments of which one write at a time can be promised: those a command's lane is made of. Of others (a customer with
   * several conversations, say) writes run in lanes that know nothing of each other.
   */
  readonly flightFields: readonly string[];
}

export const WRITE_CAPABILITIES: readonly KnownCapability[] = [
  { name: 'conversation.note.write', flightFields: ['conversation_id'] },
  { name: 'conversation.status.write', flightFields: ['conversation_id'] },
  { name: 'conversation.assignment.write', flightFields: ['conversation_id'] },
  { name: 'call.status.write', flightFields: ['call_id', 'conversation_id'] },
];

/** Reads on behalf of an operator. They have no lane, so nothing of them can be kept to one in flight. */
export const READ_CAPABILITIES: readonly KnownCapability[] = [
  { name: 'conversation.read', flightFields: [] },
  { name: 'customer.read', flightFields: [] },
];

export const CAPABILITIES: readonly KnownCapability[] = [...WRITE_CAPABILITIES, ...READ_CAPABILITIES];
