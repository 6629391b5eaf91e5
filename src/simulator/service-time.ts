/** How long answers take. What a request does, it does when it arrives: whoever leaves meanwhile has still done it. */
import { z } from 'zod';

const milliseconds = z.int().min(0).max(60_000).default(0);

export const serviceSchema = z
  .strictObject({ minMs: milliseconds, maxMs: milliseconds })
  .transform(({ minMs, maxMs }) => ({ minMs, maxMs: Math.max(minMs, maxMs) }));

export type ServiceTime = z.output<typeof serviceSchema>;
export type ServiceOptions = z.input<typeof serviceSchema>;
