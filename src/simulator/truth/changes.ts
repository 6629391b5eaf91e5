/**
 * The changes there were, told from consecutive copies of the objects: what a perfect observer would publish with default
 * settings. Pure. An oracle: it shares no code with what it judges, nor with the model's own idea of its changes.
 */
import type { Attributes, Resource } from '../model/resource.ts';
import { about, type TrueChange } from './change.ts';
import type { History } from './history.ts';
import { slaBreaches } from './sla-breaches.ts';

/** In order of revision per object; those from `sinceMs` on. */
export function trueChanges(history: History, sinceMs: number): readonly TrueChange[] {
  const changes: TrueChange[] = [];
  for (const copies of history.objects()) {
    for (const change of changesOf(copies)) if (change.atMs >= sinceMs) changes.push(change);
  }
  return changes;
}

function changesOf(copies: readonly Resource[]): readonly TrueChange[] {
  switch (copies[0]?.type) {
    case 'conversation':
      return [
        ...creation('conversation.created', copies),
        ...statusMoves(copies),
        ...answers(copies),
        ...slaBreaches(copies),
      ];
    case 'message':
      return creation('conversation.message.created', copies);
    case 'customer':
      return revisions(copies);
    default:
      return [];
  }
}

/** Never undone: an object stays created. */
function creation(eventType: string, copies: readonly Resource[]): readonly TrueChange[] {
  const first = copies[0] as Resource;
  const atMs = Date.parse(String(first.attributes['createdAt']));
  return [{ ...about(first, eventType, { resource_id: first.id }), atMs, rev: first.rev, untilRev: null, told: true }];
}

function statusMoves(copies: readonly Resource[]): readonly TrueChange[] {
  return movesOf(copies, ({ attributes }) => attributes['status']).map(([copy, untilRev]) => {
    const { status, updatedAt } = copy.attributes;
    const payload = { resource_id: copy.id, status, occurred_at: updatedAt };
    return {
      ...about(copy, 'conversation.status.changed', payload),
      atMs: copy.updatedAtMs,
      rev: copy.rev,
      untilRev,
      told: true,
    };
  });
}

/** Only what a customer said: a survey offered is none. */
function answers(copies: readonly Resource[]): readonly TrueChange[] {
  const levelOf = (copy: Resource) => copy.attributes['satisfactionLevel'] as Attributes;
  return movesOf(copies, (copy) => JSON.stringify(levelOf(copy))).flatMap(([copy, untilRev]) => {
    const level = levelOf(copy);
    if (level['status'] !== 'rated' && level['status'] !== 'commented') return [];
    const satisfaction = {
      response_id: level['formResponse'],
      status: level['status'],
      score: level['score'],
      rating: level['rating'],
      updated_at: level['updatedAt'],
    };
    return [
      {
        ...about(copy, 'conversation.satisfaction.updated', { resource_id: copy.id, satisfaction }),
        atMs: Date.parse(String(level['updatedAt'])),
        rev: copy.rev,
        untilRev,
        told: true,
      },
    ];
  });
}

/** Each revision is a change, and is shown by itself alone. */
function revisions(copies: readonly Resource[]): readonly TrueChange[] {
  return copies.flatMap((copy, index) => {
    if (copy.rev === 1) return [];
    return [
      {
        ...about(copy, 'customer.updated', { resource_id: copy.id, revision: copy.rev }),
        atMs: copy.updatedAtMs,
        rev: copy.rev,
        untilRev: copies[index + 1]?.rev ?? null,
        told: true,
      },
    ];
  });
}

/** The copies in which a value became another, each with the revision in which it moved on. */
function movesOf(
  copies: readonly Resource[],
  read: (copy: Resource) => unknown,
): readonly (readonly [copy: Resource, untilRev: number | null])[] {
  const moved = copies.filter((copy, index) => index > 0 && read(copies[index - 1] as Resource) !== read(copy));
  return moved.map((copy, index) => [copy, moved[index + 1]?.rev ?? null] as const);
}
