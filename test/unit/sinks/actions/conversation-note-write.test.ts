import { describe, expect, it } from 'vitest';
import type { ReadBackContext, Sight } from '../../../../src/sinks/actions/action.ts';
import { conversationNoteWrite as action } from '../../../../src/sinks/actions/conversation-note-write.ts';
import { CONVERSATION, NOW_MS, USER } from '../../fibric/commands/samples.ts';
import { EXTERNAL_ID, iso, MACHINE, one, planning, readingBack } from './sights.ts';

const ARGS = { conversation_id: CONVERSATION, body: 'Order SO-1\r\nis late. ' };
const TARGET = '65aa000000000000000000c2';

interface Shown {
  readonly id?: string;
  readonly attributes?: object;
  readonly author?: string | null;
}

function note({ id = '65ee000000000000000000f1', attributes = {}, author = MACHINE }: Shown = {}) {
  return {
    type: 'note',
    id,
    attributes: { body: ARGS.body, createdAt: iso(NOW_MS), ...attributes },
    relationships: author === null ? {} : { createdBy: { data: { type: 'user', id: author } } },
  };
}

const notes = (...items: ReturnType<typeof note>[]): Sight => ({ kind: 'all', items, whole: true });
const there = one('conversation', CONVERSATION, {});

function finding(sight: Sight, more: Partial<ReadBackContext> = {}, sights: Record<string, Sight> = {}) {
  const seen = { [`notes:${CONVERSATION}`]: sight, [`conversation:${CONVERSATION}`]: there, ...sights };
  const step = action.readBack(ARGS, readingBack(seen, more));
  return step.do === 'tell' ? step.finding : step.read.name;
}

describe('a note', () => {
  it('is written with its external id and nothing that Kustomer would refuse', () => {
    expect(action.plan(ARGS, planning())).toEqual({
      do: 'write',
      request: {
        operation: 'note.create',
        method: 'POST',
        path: ['conversations', CONVERSATION, 'notes'],
        body: { body: ARGS.body, externalId: EXTERNAL_ID },
        permission: 'org.permission.note.create',
      },
      basis: null,
    });
    expect(action.idempotentByNature).toBe(false);
    expect(action.permissions.readBack).toContain('org.permission.note.read');
  });

  it('is looked for in all notes of its conversation, and in the conversation itself before it is called absent', () => {
    const first = action.readBack(ARGS, readingBack());
    expect(first).toMatchObject({ do: 'read', read: { shape: 'all', mayBeAbsent: true } });
    const name = first.do === 'read' ? first.read.name : '';
    const second = action.readBack(ARGS, readingBack({ [name]: notes() }));
    expect(second).toMatchObject({ do: 'read', read: { request: { path: ['conversations', CONVERSATION] } } });
    expect(finding(notes())).toEqual({ kind: 'absent' });
  });

  it('is known by its external id, whatever else is shown of it', () => {
    const shown = note({ attributes: { externalId: EXTERNAL_ID, body: 'trimmed', createdAt: 'once' }, author: null });
    expect(finding(notes(note({ id: 'x', author: USER }), shown))).toEqual({ kind: 'found', vendorId: shown.id });
  });

  it('else by exact text, author and time', () => {
    for (const externalId of [undefined, null, '']) {
      expect(finding(notes(note({ attributes: { externalId } })))).toMatchObject({ kind: 'found' });
    }
    expect(finding(notes(note({ attributes: { createdAt: iso(NOW_MS - 4000) } })))).toMatchObject({ kind: 'found' });
  });

  it.each<[string, Shown, Partial<ReadBackContext>]>([
    ['that carries the external id of another command', { attributes: { externalId: 'fibric-other' } }, {}],
    ['that another command is known to have written', {}, { claimed: new Set(['65ee000000000000000000f1']) }],
    ['of somebody else', { author: USER }, {}],
    ['that says something else', { attributes: { body: 'Order SO-2\r\nis late. ' } }, {}],
    ['from before', { attributes: { createdAt: iso(NOW_MS - 60_000) } }, {}],
  ])('is not a note %s', (_, shown, more) => {
    expect(finding(notes(note(shown)), more)).toEqual({ kind: 'absent' });
  });

  it.each<[string, Shown, Partial<ReadBackContext>]>([
    ['whose text was trimmed or has other line ends', { attributes: { body: 'Order SO-1\nis late.' } }, {}],
    ['whose author is not shown', { author: null }, {}],
    ['while our own user is not known', {}, { machineUserId: null }],
    ['whose time is not shown', { attributes: { createdAt: undefined } }, {}],
  ])('may be one %s: neither found nor absent (A4)', (_, shown, more) => {
    expect(finding(notes(note(shown)), more)).toMatchObject({ kind: 'unclear' });
  });

  it('is not absent as long as not all notes could be read', () => {
    expect(finding({ kind: 'all', items: [], whole: false })).toMatchObject({ kind: 'unclear' });
    expect(finding({ kind: 'all', items: [note()], whole: false })).toMatchObject({ kind: 'found' });
    expect(finding({ kind: 'absent' })).toMatchObject({ kind: 'unreadable' });
  });

  it('is followed into the conversation its own was merged into, and not for ever', () => {
    const merged = (into: string) => one('conversation', CONVERSATION, { mergedTarget: into });
    const moved = { [`conversation:${CONVERSATION}`]: merged(TARGET) };
    expect(finding(notes(), {}, moved)).toBe(`notes:${TARGET}`);
    expect(finding(notes(), {}, { ...moved, [`notes:${TARGET}`]: notes(note()) })).toMatchObject({ kind: 'found' });
    const nothing = { [`notes:${TARGET}`]: notes(), [`conversation:${TARGET}`]: one('conversation', TARGET, {}) };
    expect(finding(notes(), {}, { ...moved, ...nothing })).toEqual({ kind: 'absent' });
    const circle = { ...moved, ...nothing, [`conversation:${TARGET}`]: merged(CONVERSATION) };
    expect(finding(notes(), {}, circle)).toMatchObject({ kind: 'unreadable' });
  });
});
