/**
 * The end of a worker: what it runs settles first, and only then does its member leave, so that nobody else begins with what
 * is still being written down.
 *
 * Not so where the group has not heard of the member for a session: it has given everything away. What it does in the group
 * from then on is to join it anew, and a join is waited for until every other member has joined, or is missed. So it leaves at
 * once, while its work settles, or the two waits would add up to more than a shutdown has.
 */
export interface Closing {
  readonly runners: { close(): Promise<void> };
  /** Undefined where it has not joined yet. */
  readonly member: { close(): Promise<void> } | undefined;
  readonly reader: { close(): Promise<void> } | null;
  /** Since the last heartbeat that was accepted; null before the first. */
  readonly heartbeatAgeMs: number | null;
  readonly sessionTimeoutMs: number;
}

/** All of it, whatever fails; rejects then with the first of that. */
export async function closeWorker(closing: Closing): Promise<void> {
  const { runners, member, reader, heartbeatAgeMs, sessionTimeoutMs } = closing;
  const isMissed = heartbeatAgeMs !== null && heartbeatAgeMs >= sessionTimeoutMs;
  const left = isMissed ? settled(member?.close()) : undefined;
  await runners.close();
  const outcomes = await Promise.all([left ?? settled(member?.close()), settled(reader?.close())]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function settled(work: Promise<void> | undefined): Promise<PromiseSettledResult<void>> {
  const [outcome] = await Promise.allSettled([work ?? Promise.resolve()]);
  return outcome;
}
