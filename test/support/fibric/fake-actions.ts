/** What an action comes to, told by its arguments and the small world: enough to meet every row of the guide. */
import { type Answer, Refusal, type World } from './fake-api.ts';
import { APPROVAL, type Json, receiptOf } from './fixtures.ts';

const seenKeys = new WeakMap<World, Set<string>>();

export function tryAction(body: Json, connector: Json | undefined, world: World): Answer {
  const { args, mode, idempotency_key: key } = body as { args: Json; mode: string; idempotency_key?: string };
  const tool = typeof body['tool'] === 'string' ? body['tool'] : null;
  const capability = tool === null ? String(body['capability']) : capabilityOf(tool);
  const one = connector ?? world.connectors.find(({ name }) => name === body['connection']);
  if (one === undefined) throw new Refusal(404, 'not_found', 'no such connector');
  const operator = typeof body['operator'] === 'string' ? body['operator'] : 'connector-test';
  const wrong = problemsOf(args);
  const answer = (outcome: string, fields: Json, status = 200): Answer =>
    tool === null
      ? {
          status,
          body: { object: 'action', command_id: 'cmd_1', status: status === 202 ? 'pending' : 'disposed', ...fields },
        }
      : {
          status,
          body: {
            ...{ object: 'connector_test', connector: one['id'], tool, capability, mode, operator },
            ...{ verdict: null, outcome, policy: null, command_id: null, receipt: null, problems: [], ...fields },
          },
        };
  if (wrong.length > 0) {
    if (tool === null) throw new Refusal(422, 'validation_failed', 'the arguments are not valid', wrong);
    return answer('invalid', { problems: wrong });
  }
  const { decision, rule, policy } = decide(capability, world);
  const closed = world.ungranted ? `the operator has no grant of ${capability}` : 'no rule allows the action';
  const code = world.ungranted ? 'grant_missing' : 'policy_blocked';
  const verdict = { decision, rule, tier: null };
  if (tool !== null && mode === 'dry_run') {
    const reason = decision === 'BLOCK' ? closed : 'a rule allows it';
    return answer(decision === 'BLOCK' ? 'refused' : 'dry_run', {
      verdict: { decision, rule, reason, code: decision === 'BLOCK' ? code : null },
      policy,
    });
  }
  const common = { capability, mode, operator, idempotency_key: key, verdict, policy };
  const disposed = (fields: Json): Answer => {
    const receipt = receiptOf({ ...common, ...fields });
    const told = receipt['verdict'] as Json;
    return answer(String(receipt['outcome']), {
      receipt,
      ...(tool !== null && {
        policy,
        verdict: {
          decision: told['decision'],
          rule: told['rule'],
          reason: null,
          code: told['decision'] === 'BLOCK' ? code : null,
        },
      }),
    });
  };
  if (mode === 'dry_run')
    return disposed({ outcome: 'dry_run', vendor: null, attempts: 0, error: blockError(decision, code, closed) });
  if (decision === 'BLOCK')
    return disposed({ outcome: 'refused', vendor: null, attempts: 0, error: blockError(decision, code, closed) });
  if (decision === 'ALERT') {
    world.approvals.push({ ...APPROVAL, capability, args, idempotency_key: key });
    return answer('pending', { command_id: 'cmd_1' }, 202);
  }
  const seen = seenKeys.get(world) ?? new Set<string>();
  seenKeys.set(world, seen);
  if (seen.has(String(key))) {
    const repeated = { decision: 'DEDUP', rule: null, tier: null };
    return disposed({
      verdict: repeated,
      outcome: 'deduplicated',
      vendor: null,
      first_receipt_id: 'rc_0001',
      id: 'rc_0002',
    });
  }
  seen.add(String(key));
  if (one['writable'] === false) {
    const message = 'Kustomer answered 403: the key lacks org.permission.note.create';
    return disposed({
      outcome: 'failed',
      vendor: null,
      error: { code: 'kustomer_permission', message, next_step: '', problems: [] },
    });
  }
  if (args['body'] === 'lost') return answer('pending', { command_id: 'cmd_1' }, 202);
  return disposed({});
}

function capabilityOf(tool: string): string {
  return tool.startsWith('call.') || tool.includes('.read') ? tool : `conversation.${tool}`;
}

function problemsOf(args: Json): readonly Json[] {
  if (typeof args['conversation_id'] === 'string') return [];
  return [{ field: 'args.conversation_id', code: 'missing', message: 'is missing' }];
}

function decide(capability: string, world: World): { decision: string; rule: string | null; policy: Json | null } {
  for (const one of world.policies.filter(({ status }) => status === 'active')) {
    for (const rule of one['rules'] as Json[]) {
      const policy = { name: one['name'], version: one['version'] };
      if (rule['allow'] === capability) return { decision: 'ALLOW', rule: `allow: ${capability}`, policy };
      if (rule['require_confirmation'] === capability) {
        return { decision: 'ALERT', rule: `require_confirmation: ${capability}`, policy };
      }
    }
  }
  return { decision: 'BLOCK', rule: null, policy: null };
}

function blockError(decision: string, code: string, message: string): Json | null {
  if (decision !== 'BLOCK') return null;
  return {
    code,
    message,
    next_step: 'Add an allow rule.',
    problems: [],
  };
}
