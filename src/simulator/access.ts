/** What a key may do. Roles are names with dots; a shorter one covers everything below it, as `org.permission` does. */
import { z } from 'zod';

export const accessSchema = z.strictObject({
  roles: z.array(z.string().regex(/^org(\.[a-z_]+)*$/)).default(['org.permission']),
  /** Milliseconds since 1970; from then on the key is refused. */
  expiresAtMs: z.number().nullable().default(null),
  /** The pod the key belongs to; another than the simulator's is refused. */
  pod: z.string().default('prod1'),
  /** Attributes of customers that come masked because the key may not read sensitive ones. */
  masked: z.array(z.enum(['emails', 'phones'])).default([]),
});

export type Access = z.infer<typeof accessSchema>;
export type AccessOptions = z.input<typeof accessSchema>;

/** Whether any role held is, or covers, any of those asked for. Nothing asked for means any key will do. */
export function mayCall(held: readonly string[], anyOf: readonly string[]): boolean {
  return anyOf.length === 0 || anyOf.some((role) => held.some((own) => role === own || role.startsWith(`${own}.`)));
}
