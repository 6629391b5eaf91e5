/** What the vendor does not document, or documents twice: each a switch, so that a client can be tested against either. */
import { z } from 'zod';

export const behaviourSchema = z.strictObject({
  /** A missing role: 403 now, 401 in the old documentation. */
  missingRoleStatus: z.literal([401, 403]).default(403),
  /** Whether an SLA deadline that passes sends `conversation.update`. It bumps `rev` and `updatedAt` either way. */
  slaBreachEmits: z.boolean().default(false),
  /** Whether a new note sends the `conversation.update` with its `noteCount`. */
  noteEmits: z.boolean().default(true),
  /** Whether a merge of conversations sends the updates of the objects it changed. */
  mergeEmits: z.boolean().default(false),
  /** Whether writes to a conversation merged away still work. */
  mergedWrites: z.enum(['accepted', 'notfound']).default('notfound'),
  /** Whether lists and reads of notes show `externalId`; search and the answer to a create always do. */
  notesShowExternalId: z.boolean().default(false),
  /** What PATCH does with `meta` of a message. */
  messageMeta: z.enum(['replace', 'merge']).default('replace'),
  /** An `id` of the caller's on create: taken, or ignored for one of the vendor's. */
  clientIds: z.enum(['taken', 'ignored']).default('taken'),
  /** Custom attributes somebody has defined; null knows no definitions and takes all. */
  definedCustom: z.array(z.string()).nullable().default(null),
  /** A second create with a taken `id`. */
  repeatedId: z.enum(['conflict', 'existing']).default('conflict'),
});

export type Behaviour = z.infer<typeof behaviourSchema>;
export type BehaviourOptions = z.input<typeof behaviourSchema>;
