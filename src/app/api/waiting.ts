/** What waits for people, and what they say to it. */
import type { Answered, WaitingCommand, WaitingPort } from '../../api/data/ports.ts';
import { ApiError, notFound } from '../../api/errors.ts';
import type { TopicNames } from '../../kafka/topics.ts';
import { argsOf, composeAnswer, composeResend } from '../../sinks/answers/compose.ts';
import type { AnswerMac } from '../../sinks/answers/mac.ts';
import type { Waiting, WaitingView } from '../../sinks/answers/waiting.ts';
import type { CommandPublisher } from './commands.ts';

export interface WaitingPortOptions {
  readonly view: WaitingView;
  readonly publisher: Pick<CommandPublisher, 'append' | 'encode'>;
  readonly names: Pick<TopicNames, 'commands'>;
  readonly mac: AnswerMac;
}

export function openWaitingPort({ view, publisher, names, mac }: WaitingPortOptions): WaitingPort {
  let isCaughtUp = false;
  void view.caughtUp().then(() => {
    isCaughtUp = true;
  });
  /** Before that, what is missing may wait all the same. */
  const ready = (): WaitingView => {
    if (isCaughtUp) return view;
    throw new ApiError('unavailable', 'what waits is still being read; try again in a moment', { retryAfterS: 1 });
  };
  return {
    list: (tenantId) => ready().list(tenantId).map(shown),
    get(tenantId, id) {
      const found = ready().get(tenantId, id);
      return found === undefined ? undefined : shown(found);
    },
    onChange: (listener) =>
      view.onChange((tenantId) => {
        if (isCaughtUp) listener(tenantId);
      }),
    async answer(tenantId, id, { answer, by, note, vendorId, nowMs, resendAs }: Answered) {
      const waiting = ready().get(tenantId, id);
      if (waiting === undefined) throw notFound('thing that waits');
      if (waiting.record === null) {
        throw new ApiError('state_conflict', 'it was written before answers could be given to it; it can only expire');
      }
      const said = composeAnswer(waiting, { answer, by, note, nowMs, vendorId }, { topic: names.commands, mac });
      const again =
        resendAs === null
          ? []
          : [
              composeResend(
                waiting,
                { commandId: resendAs, nowMs },
                { topic: names.commands, encode: (command) => publisher.encode(command), mac },
              ),
            ];
      await publisher.append([said, ...again]);
    },
  };
}

function shown(waiting: Waiting): WaitingCommand {
  const { subject, policy, command } = waiting;
  return {
    id: waiting.id,
    kind: waiting.kind,
    receiptId: waiting.receiptId,
    commandId: subject.commandId,
    connectionId: subject.connectionId,
    capability: subject.capability,
    entityKey: subject.entityKey,
    idempotencyKey: subject.idempotencyKey,
    policy: { name: policy.policy, version: policy.version, rule: policy.rule, tier: policy.tier },
    sinceMs: waiting.atMs,
    expiresAtMs: waiting.expiresAtMs,
    command:
      command === null
        ? null
        : {
            args: argsOf(command),
            operator: command.operator,
            connection: command.connection,
            mode: command.mode,
            requestedAt: command.requested_at,
            correlationId: command.correlation_id,
            eventId: command.event_id,
          },
  };
}
