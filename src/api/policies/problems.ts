/** What is wrong with a policy: with one that was sent, or with one that is there. */
import { z } from 'zod';
import type { PolicyProblem } from '../../fibric/policy/problems.ts';
import { ApiError, type ApiProblem } from '../errors.ts';
import type { CorePorts } from '../ports.ts';

export const problemRow = z.strictObject({
  field: z.null(),
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  line: z.number().int(),
  column: z.number().int(),
});

export function shownProblem({ code, problem, remedy, line, column }: PolicyProblem) {
  return { field: null, code, message: problem, remedy, line, column };
}

export function invalid(found: readonly PolicyProblem[]): ApiError {
  const problems: readonly ApiProblem[] = found.map(shownProblem);
  const [first] = found;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new ApiError(
    'policy_invalid',
    `line ${first?.line}, column ${first?.column}: ${first?.problem}; ${first?.remedy}${more}`,
    { problems },
  );
}

/** One that is there and cannot be read is not missing: everything of the tenant is blocked for its sake. */
export function unreadable(
  { policies }: Pick<CorePorts, 'policies'>,
  tenantId: string,
  name: string,
): ApiError | undefined {
  const one = policies.unreadable(tenantId).find(({ key }) => key === `${tenantId}/${name}`);
  if (one === undefined) return undefined;
  const message = `the policy ${name} cannot be read here, so everything is blocked. Delete it, and apply it anew`;
  return new ApiError('state_conflict', message);
}
