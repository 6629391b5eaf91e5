/** Globs over dotted names: `*` is exactly one segment, so `conversation.*` does not match `conversation.message.created`. Pure. */

export const GLOB = /^(?:\*|[a-z0-9_]+)(?:\.(?:\*|[a-z0-9_]+))*$/;

export function matchesGlob(glob: string, name: string): boolean {
  const [wanted, segments] = [glob.split('.'), name.split('.')];
  return wanted.length === segments.length && wanted.every((part, i) => part === '*' || part === segments[i]);
}
