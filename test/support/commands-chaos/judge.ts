/**
 * Whether a run kept its promises, from the commands, the receipts and Kustomer's own log of what took effect. Pure.
 *
 * J1 every command has one receipt, and every receipt a command
 * J2 of each lane (a conversation, or a call), what took effect is what the commands with `applied` asked for, in their order, each once;
 *    commands whose outcome nobody knows may have taken effect, once and in their place
 * J3 no two writes of a lane were under way at once
 * J4 a first command is applied, a copy is deduplicated; anything else is told
 */

export interface Asked {
  readonly commandId: string;
  readonly lane: string;
  /** What its write looks like in the truth; null: a copy. */
  readonly token: string | null;
}

export interface Told {
  readonly commandId: string;
  readonly receiptId: string;
  readonly outcome: string;
  readonly code: string | null;
  /** It was so already. */
  readonly unchanged: boolean;
}

export interface Happened {
  /** Null: of none that is known. */
  readonly lane: string | null;
  readonly token: string;
}

export interface Evidence {
  /** Of each lane in their order. */
  readonly commands: readonly Asked[];
  readonly receipts: readonly Told[];
  /** In the order of taking effect. */
  readonly writes: readonly Happened[];
  /** Lanes of which two writes were under way at once, each time. */
  readonly overlaps: readonly string[];
}

export type ViolationKind =
  | 'receipt_missing'
  | 'receipt_twice'
  | 'receipt_unasked'
  | 'outcome'
  | 'write_twice'
  | 'write_lost'
  | 'write_unasked'
  | 'order'
  | 'overlap';

export interface Violation {
  readonly kind: ViolationKind;
  /** The lane, or the command where none is known. */
  readonly where: string;
  readonly what: string;
}

export function judge({ commands, receipts, writes, overlaps }: Evidence): readonly Violation[] {
  const told = groupBy(receipts, ({ commandId }) => commandId);
  const happened = groupBy(writes, ({ lane }) => lane ?? 'none');
  const asked = groupBy(commands, ({ lane }) => lane);
  const known = new Set(commands.map(({ commandId }) => commandId));
  const violations: Violation[] = [];
  for (const { commandId, lane, token } of commands) {
    violations.push(...ofReceipts(told.get(commandId) ?? [], { commandId, where: lane, isCopy: token === null }));
  }
  for (const commandId of told.keys()) {
    if (!known.has(commandId)) violations.push({ kind: 'receipt_unasked', where: commandId, what: 'nobody asked' });
  }
  for (const where of new Set([...asked.keys(), ...happened.keys()])) {
    const expected = (asked.get(where) ?? []).flatMap((command) =>
      expectedOf(command, told.get(command.commandId) ?? []),
    );
    const actual = (happened.get(where) ?? []).map(({ token }) => token);
    violations.push(...ofWrites(where, expected, actual));
  }
  return [...violations, ...overlaps.map((where) => ({ kind: 'overlap', where, what: 'two writes at once' }) as const)];
}

function ofReceipts(
  receipts: readonly Told[],
  { commandId, where, isCopy }: { readonly commandId: string; readonly where: string; readonly isCopy: boolean },
): readonly Violation[] {
  const [receipt] = receipts;
  if (receipt === undefined) return [{ kind: 'receipt_missing', where, what: commandId }];
  const twice: Violation = { kind: 'receipt_twice', where, what: `${commandId} has ${receipts.length}` };
  const { outcome, code } = receipt;
  const isRight = isCopy ? outcome === 'deduplicated' : outcome === 'applied';
  const wrong: Violation = { kind: 'outcome', where, what: `${commandId}: ${outcome} ${code ?? ''}` };
  return [...(receipts.length > 1 ? [twice] : []), ...(isRight || isUnknown(receipt) ? [] : [wrong])];
}

/** Parked, or a copy of what is: what the share of those who need a person is counted from. */
export function isUnknown({ code }: Pick<Told, 'code'>): boolean {
  return code === 'outcome_unknown';
}

interface Expected {
  readonly token: string;
  readonly optional: boolean;
}

function expectedOf({ token }: Asked, receipts: readonly Told[]): readonly Expected[] {
  const [receipt] = receipts;
  if (token === null || receipt === undefined) return [];
  if (isUnknown(receipt)) return [{ token, optional: true }];
  return receipt.outcome === 'applied' && !receipt.unchanged ? [{ token, optional: false }] : [];
}

function ofWrites(where: string, expected: readonly Expected[], actual: readonly string[]): readonly Violation[] {
  if (fits(expected, actual)) return [];
  const most = countBy(expected.map(({ token }) => token));
  const least = countBy(expected.filter(({ optional }) => !optional).map(({ token }) => token));
  const counts = countBy(actual);
  const violations: Violation[] = [];
  for (const token of new Set([...most.keys(), ...counts.keys()])) {
    const [count, few, many] = [counts.get(token) ?? 0, least.get(token) ?? 0, most.get(token) ?? 0];
    if (many === 0) violations.push({ kind: 'write_unasked', where, what: token });
    else if (count > many) violations.push({ kind: 'write_twice', where, what: `${token}: ${count} for ${many}` });
    else if (count < few) violations.push({ kind: 'write_lost', where, what: token });
  }
  if (violations.length > 0) return violations;
  return [{ kind: 'order', where, what: actual.join(' | ') }];
}

/** Whether leaving out some of the optional ones makes them equal. */
function fits(expected: readonly Expected[], actual: readonly string[]): boolean {
  // How many of `actual` may have been explained by what came so far.
  let explained = new Set([0]);
  for (const { token, optional } of expected) {
    const next = new Set(optional ? explained : []);
    for (const count of explained) if (actual[count] === token) next.add(count + 1);
    explained = next;
  }
  return explained.has(actual.length);
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

function countBy(items: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}
