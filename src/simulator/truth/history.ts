/** Every copy of every object there ever was: what a truth is told from. */
import type { Organisation } from '../model/organisation.ts';
import type { Resource, ResourceType } from '../model/resource.ts';

export class History {
  readonly #copies = new Map<string, Resource[]>();

  add(resource: Resource): void {
    const key = keyOf(resource.type, resource.id);
    const copies = this.#copies.get(key);
    if (copies === undefined) this.#copies.set(key, [resource]);
    else copies.push(resource);
  }

  /** Of each object its copies, oldest first. */
  objects(): Iterable<readonly Resource[]> {
    return this.#copies.values();
  }

  copies(type: ResourceType, id: string): readonly Resource[] {
    return this.#copies.get(keyOf(type, id)) ?? [];
  }

  copy(type: ResourceType, id: string, rev: number): Resource | undefined {
    return this.copies(type, id).find((copy) => copy.rev === rev);
  }
}

/** Begins with the objects as they are now; how they came to be is not known to it. */
export function recordHistory(organisation: Organisation): History {
  const history = new History();
  const { conversations, customers, messages, users, teams, tags, kobjects } = organisation;
  for (const store of [conversations, customers, messages, users, teams, tags, kobjects]) {
    for (const resource of store.values()) history.add(resource);
  }
  organisation.revisions.observe((resource) => history.add(resource));
  return history;
}

function keyOf(type: ResourceType, id: string): string {
  return `${type}:${id}`;
}
