/** What a receipt tells whoever reads it to do, one sentence per error code. */
import type { ErrorCode } from '../base/errors.ts';

const NEXT_STEPS: Partial<Record<ErrorCode, string>> = {
  command_invalid: 'Correct what the problems name and send it as a new command.',
  idempotency_conflict: 'Use another idempotency key, or the arguments the key was first used with.',
  deadline_passed: 'Send it as a new command with a later deadline, if it still matters.',
  policy_blocked:
    'Add an allow rule for the capability to a policy of the tenant and apply it, if this should be allowed.',
  operator_without_rule: 'Name an operator the rules apply to, or add an allow rule for this one and apply it.',
  grant_missing: 'Grant the capability to the operator, if it should have it.',
  capability_not_exposed: 'Give the connection an API key.',
  limit_reached: 'Send it again when the window of the limit has moved on, or raise the limit in the policy.',
  confirmation_pending: 'Approve or reject the command that waits.',
  confirmation_expired: 'Send it as a new command and approve it in time.',
  confirmation_rejected: 'Nothing to do: a person said no.',
  attempts_exhausted: 'See whether Kustomer is reachable and answers, then send it again.',
  outcome_unknown:
    'Look at the object in Kustomer, then resolve the command as applied or as not applied; until then its key is not used again.',
  secret_unreadable: 'Give the service the master key the connection was sealed with, then send it as a new command.',
  config_invalid: 'Give the connection an API key, or correct its address, then send it as a new command.',
  connection_unknown: 'Name a connection of the tenant by its id or name.',
  budget_exhausted: 'Nothing was sent: the rate budget of the organisation is spent. Raise it, or send fewer commands.',
  kustomer_not_sent: 'Nothing was sent. See whether Kustomer is reachable from here.',
  kustomer_unanswered:
    'Nothing was written. See whether Kustomer answers; it is tried again until the command gives up.',
  kustomer_rate_limited:
    'Nothing was written. Lower poll_interval or the share of other consumers of the organisation.',
  kustomer_ambiguous: 'It is read back whether it happened; nobody needs to do anything yet.',
  kustomer_conflict: 'Somebody keeps changing the object. Send it again as a new command.',
  kustomer_permission:
    'Make an API key with the permission the message names (keys cannot be re-scoped), and give it to the connection.',
  kustomer_unauthorized: 'Make a new API key in Kustomer, and give it to the connection.',
  kustomer_misconfigured: "Correct the connection's subdomain or API address.",
  kustomer_refused:
    'Kustomer does not take these values: see its words in the message, correct them and send a new command.',
  target_not_found:
    'See whether the id is right, and whether the object was deleted or merged or is outside of what the key sees.',
  target_locked: 'Unlock it in Kustomer, or wait for whoever locked it, then send it as a new command.',
  write_too_large: 'Send less in one command.',
  conversation_merged: 'Send it as a new command for the conversation the message names.',
  assignment_full: 'Remove somebody first, or set the whole list.',
  customer_not_found: 'Name the customer with customer_id, or create it in Kustomer.',
  customer_ambiguous: 'Name the customer with customer_id.',
  call_foreign: 'Use a call id that no other integration uses, or leave the call to that integration.',
};

export function nextStepOf(code: ErrorCode): string {
  return NEXT_STEPS[code] ?? 'See the error code in the reference of errors.';
}
