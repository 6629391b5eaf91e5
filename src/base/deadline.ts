/**
 * Waits for `work`, but not for longer. Work that is late goes on, since nothing can stop it; what comes of it then is nobody's
 * news any more.
 */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number, late: () => T): Promise<T> {
  const expired = Promise.withResolvers<T>();
  // In a promise, since it may throw: the caller meets that.
  const timer = setTimeout(() => expired.resolve(new Promise((resolve) => resolve(late()))), timeoutMs);
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    clearTimeout(timer); // else it would keep a finished command alive
  }
}
