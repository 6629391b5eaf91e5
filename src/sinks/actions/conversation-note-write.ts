/**
 * A note. Kustomer knows no idempotency for it, accepts duplicates, and shows the external id we give it in lists or not
 * (undocumented): so it is sent once, and looked for by external id, else by its exact text, author and time.
 */
import type { CommandArgs } from '../../fibric/commands/index.ts';
import { parseInstant } from '../../fibric/commands/instant.ts';
import type { Resource } from '../../kustomer/client/documents.ts';
import { objectOrEmpty, textOrNull } from '../../kustomer/json.ts';
import {
  type Action,
  CLOCK_SKEW_MS,
  type ReadBackContext,
  type ReadBackStep,
  tell,
  type VendorRead,
} from './action.ts';
import { CONVERSATION_READ, conversationIn, readConversation } from './conversation-state.ts';

const NOTE_READ = 'org.permission.note.read';
const NOTE_CREATE = 'org.permission.note.create';
/** A conversation merged into one that was merged, and so on: further nobody looks. */
const MAX_MERGES = 3;

export const conversationNoteWrite: Action<'conversation.note.write'> = {
  capability: 'conversation.note.write',
  vendorType: 'note',
  idempotentByNature: false,
  permissions: { plan: [NOTE_CREATE], readBack: [NOTE_READ, CONVERSATION_READ] },
  hasBasis: false,
  answers: null,
  plan: ({ conversation_id, body }, { externalId }) => ({
    do: 'write',
    request: {
      operation: 'note.create',
      method: 'POST',
      path: ['conversations', conversation_id, 'notes'],
      body: { body, externalId },
      permission: NOTE_CREATE,
    },
    basis: null,
  }),
  readBack: (args, context) => lookIn(args.conversation_id, 0, args, context),
};

type Args = CommandArgs<'conversation.note.write'>;

/** In the conversation, and in the one it was merged into: its notes move along. */
function lookIn(id: string, merges: number, args: Args, context: ReadBackContext): ReadBackStep {
  const notes = readNotes(id);
  const sight = context.seen.get(notes.name);
  if (sight === undefined) return { do: 'read', read: notes };
  if (sight.kind !== 'all') return tell({ kind: 'unreadable', why: `conversation ${id} is not there any more` });
  const matches = sight.items.map((note) => ({ note, match: matchOf(note, args, context) }));
  const found = matches.find(({ match }) => match === 'ours') ?? matches.find(({ match }) => match === 'like ours');
  if (found !== undefined) return tell({ kind: 'found', vendorId: found.note.id });
  if (matches.some(({ match }) => match === 'perhaps')) {
    return tell({ kind: 'unclear', why: 'there is a note much like it, whose author or exact text cannot be told' });
  }
  if (!sight.whole) return tell({ kind: 'unclear', why: 'not all notes of the conversation could be read' });
  const conversation = readConversation(id, `conversation:${id}`);
  if (!context.seen.has(conversation.name)) return { do: 'read', read: conversation };
  const target = conversationIn(context.seen, conversation.name)?.mergedTarget ?? null;
  if (target === null) return tell({ kind: 'absent' });
  if (merges === MAX_MERGES) return tell({ kind: 'unreadable', why: 'the conversation was merged too many times' });
  return lookIn(target, merges + 1, args, context);
}

function readNotes(id: string): VendorRead {
  const request = {
    operation: 'conversation.notes',
    method: 'GET',
    path: ['conversations', id, 'notes'],
    query: { pageSize: 100 },
    permission: NOTE_READ,
  } as const;
  return { name: `notes:${id}`, request, shape: 'all', mayBeAbsent: true };
}

type Match = 'ours' | 'like ours' | 'perhaps' | 'no';

/** A note that carries another external id is another command's, whatever it says; so is one that is known to be. */
function matchOf(note: Resource, { body }: Args, context: ReadBackContext): Match {
  const attributes = objectOrEmpty(note['attributes']);
  const externalId = textOrNull(attributes['externalId']);
  if (externalId !== null) return externalId === context.externalId ? 'ours' : 'no';
  if (context.claimed.has(note.id)) return 'no';
  const text = textOrNull(attributes['body']);
  if (text === null || bare(text) !== bare(body)) return 'no';
  const createdAt = textOrNull(attributes['createdAt']);
  const createdMs = createdAt === null ? null : parseInstant(createdAt);
  if (createdMs !== null && createdMs < context.sinceMs - CLOCK_SKEW_MS) return 'no';
  const author = textOrNull(
    objectOrEmpty(objectOrEmpty(objectOrEmpty(note['relationships'])['createdBy'])['data'])['id'],
  );
  if (author !== null && context.machineUserId !== null && author !== context.machineUserId) return 'no';
  const isSure = author !== null && context.machineUserId !== null && createdMs !== null && text === body;
  return isSure ? 'like ours' : 'perhaps';
}

/** Should Kustomer trim a text or change its line ends, the note must not look absent for that. */
function bare(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
