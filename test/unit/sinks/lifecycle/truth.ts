/** What must be true when a world has come to rest: the receipts told against what Kustomer did. */
import type { ReceiptFacts } from '../../../../src/sinks/lifecycle/events.ts';
import { CONFIG, type World } from './world.ts';

export function untruths(world: World): readonly string[] {
  const { vendor, durable, log, plan } = world;
  const wrong = [...world.violations, ...vendor.violations];
  const receipts = new Map<string, ReceiptFacts>();
  for (const receipt of durable.receipts) {
    if (receipts.has(receipt.receiptId)) wrong.push(`C3: two receipts ${receipt.receiptId}`);
    receipts.set(receipt.receiptId, receipt);
  }
  const commands = log.filter(({ command }) => command.approvedBy === null);
  for (const { command } of commands) {
    const isThere = receipts.delete(command.receiptId);
    if (!isThere) wrong.push(`no receipt ${command.receiptId}`);
  }
  for (const id of receipts.keys()) wrong.push(`C10: a receipt of nothing, ${id}`);

  const byId = new Map(durable.receipts.map((receipt) => [receipt.receiptId, receipt]));
  const written = new Map<string, string>();
  const last = new Map<string, number>();
  for (const { identity, lane, offset, receiptId, atMs } of vendor.applied) {
    if (written.has(identity)) wrong.push(`twice: ${identity} by ${written.get(identity)} and ${receiptId} at ${atMs}`);
    written.set(identity, receiptId);
    if (offset < (last.get(lane) ?? -1)) wrong.push(`out of order in ${lane}: ${offset} after ${last.get(lane)}`);
    last.set(lane, offset);
    const receipt = byId.get(receiptId);
    const isTold = receipt?.outcome === 'applied' || receipt?.code === 'outcome_unknown';
    if (!isTold) wrong.push(`${receiptId} was applied, its receipt says ${receipt?.outcome} ${receipt?.code}`);
  }
  const appliedIds = new Set(written.values());
  if (appliedIds.size > plan.limit) wrong.push(`over the limit: ${appliedIds.size}`);
  for (const receipt of durable.receipts) {
    const { receiptId, outcome, firstReceiptId, attempts, code } = receipt;
    if (outcome === 'applied' && !appliedIds.has(receiptId)) wrong.push(`${receiptId} says applied, and is not`);
    if (attempts > CONFIG.maxAttempts) wrong.push(`C8: ${attempts} attempts`);
    if (outcome !== 'deduplicated') continue;
    const first = byId.get(firstReceiptId ?? '');
    if (code === null && first?.outcome !== 'applied')
      wrong.push(`${receiptId} repeats ${firstReceiptId}, not applied`);
  }
  for (const [identity, { kind }] of durable.ledger)
    if (kind === 'in_flight') wrong.push(`C12: in flight: ${identity}`);
  return wrong;
}
