/** When the changes happened that the poll saw lately, per connection: bounded, the newest stay. */
const MAX_CHANGES = 100;

export class PolledChanges {
  readonly #byConnection = new Map<string, number[]>();

  note(connectionId: string, changedAtMs: number): void {
    const times = this.#byConnection.get(connectionId) ?? [];
    this.#byConnection.set(connectionId, times);
    const oldest = times[MAX_CHANGES - 1];
    if (oldest !== undefined && changedAtMs <= oldest) return;
    // The same row is seen again within the overlap of two polls.
    if (times.includes(changedAtMs)) return;
    times.push(changedAtMs);
    times.sort((a, b) => b - a);
    if (times.length > MAX_CHANGES) times.length = MAX_CHANGES;
  }

  of(connectionId: string): readonly number[] {
    return this.#byConnection.get(connectionId) ?? [];
  }

  forget(connectionId: string): void {
    this.#byConnection.delete(connectionId);
  }
}
