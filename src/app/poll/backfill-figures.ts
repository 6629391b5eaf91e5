/** What people want to know of a backfill: how much there is in all, and how long it will take. Pure. */
export interface BackfillProgress {
  readonly rowsDone: number;
  readonly rowsLeft: number | null;
  readonly rowsPerSecond: number | null;
}

/** Null until Kustomer has told. Rows that change meanwhile leave for the live poll, so it is an estimate. */
export function backfillTotal({ rowsDone, rowsLeft }: BackfillProgress): number | null {
  return rowsLeft === null ? null : rowsDone + rowsLeft;
}

export function etaSeconds({ rowsLeft, rowsPerSecond }: BackfillProgress): number | null {
  if (rowsLeft === null || rowsPerSecond === null || rowsPerSecond <= 0) return null;
  return Math.ceil(rowsLeft / rowsPerSecond);
}
