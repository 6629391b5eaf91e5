/**
 * Lets the first occurrence of a kind through and then one per interval, with the number held back in between: a
 * misconfigured sender repeats itself thousands of times, and the log needs to say so once.
 */
export interface AlarmGate {
  /** How many to report now, this one included; 0 = stay silent. */
  note(kind: string, nowMs: number): number;
}

export function createAlarmGate({ intervalMs, maxKinds }: { intervalMs: number; maxKinds: number }): AlarmGate {
  const kinds = new Map<string, { openAtMs: number; heldBack: number }>();
  return {
    note(kind, nowMs) {
      let entry = kinds.get(kind);
      if (entry === undefined) {
        // Full: forget the oldest kind. The worst that follows is a warning more.
        if (kinds.size >= maxKinds)
          for (const oldest of kinds.keys()) {
            kinds.delete(oldest);
            break;
          }
        entry = { openAtMs: nowMs, heldBack: 0 };
        kinds.set(kind, entry);
      }
      entry.heldBack += 1;
      if (nowMs < entry.openAtMs) return 0;
      const report = entry.heldBack;
      entry.heldBack = 0;
      entry.openAtMs = nowMs + intervalMs;
      return report;
    },
  };
}
