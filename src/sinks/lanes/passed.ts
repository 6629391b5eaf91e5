/**
 * Which records of a partition were passed over, because their tenant has its share of the room while there is room for the
 * others behind them. They stay in the log; when their tenant has room again, the reading goes back to the first of them.
 *
 * V1 of one tenant nothing is taken in after a record that was passed over, until the reading has gone back to that one: its
 *    commands are taken in the order of the log
 * V2 what is passed over is taken in, or dropped, once
 */
interface Tenant {
  /** What was passed over of it lies here or further on. */
  from: number;
  /** The reading has gone back, and everything before `from` has been taken in. */
  isOpen: boolean;
}

export class Passed {
  /** The tenant of each record. */
  readonly #records = new Map<number, string>();
  readonly #tenants = new Map<string, Tenant>();

  get size(): number {
    return this.#records.size;
  }

  has(offset: number): boolean {
    return this.#records.has(offset);
  }

  /** V1: whatever comes of this tenant is passed over. */
  isClosed(tenantId: string): boolean {
    return this.#tenants.get(tenantId)?.isOpen === false;
  }

  get tenants(): readonly string[] {
    return [...this.#tenants.keys()];
  }

  get hasOpen(): boolean {
    for (const { isOpen } of this.#tenants.values()) if (isOpen) return true;
    return false;
  }

  /** Those of which something was passed over, and to which the reading has not gone back. */
  get closed(): readonly string[] {
    return [...this.#tenants].filter(([, { isOpen }]) => !isOpen).map(([tenantId]) => tenantId);
  }

  /** Again, too, when the reading has come back to it in vain. */
  pass(tenantId: string, offset: number): void {
    this.#records.set(offset, tenantId);
    const tenant = this.#tenants.get(tenantId);
    if (tenant === undefined) this.#tenants.set(tenantId, { from: offset, isOpen: false });
    else if (tenant.isOpen) Object.assign(tenant, { from: offset, isOpen: false });
  }

  /** It has been taken in, or dropped. */
  take(offset: number): void {
    this.#records.delete(offset);
  }

  /** The reading goes back for these, and for those it had gone back for and not got to: to the offset returned. */
  open(tenantIds: readonly string[]): number {
    for (const tenantId of tenantIds) (this.#tenants.get(tenantId) as Tenant).isOpen = true;
    return Math.min(...[...this.#tenants.values()].filter(({ isOpen }) => isOpen).map(({ from }) => from));
  }

  /**
   * The reading has come to what it had not seen before, so all that it went back for has been taken in, or dropped. False when
   * some of it has not come.
   */
  caughtUp(): boolean {
    if (this.#tenants.size === 0) return true; // as nearly always
    const open = [...this.#tenants].filter(([, { isOpen }]) => isOpen).map(([tenantId]) => tenantId);
    for (const tenantId of open) this.#tenants.delete(tenantId);
    return open.length === 0 || [...this.#records.values()].every((tenantId) => !open.includes(tenantId));
  }
}
