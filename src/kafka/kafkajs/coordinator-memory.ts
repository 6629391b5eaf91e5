/**
 * Where the coordinators of one transactional producer are. KafkaJS asks the cluster before each of its steps, four times in a
 * transaction of five requests; it is asked once here, and again after anything has failed (see quirks.ts).
 *
 * M1 an answer is kept until a step of the producer rejects, or its broker cannot be found: nobody stays with a coordinator
 *    that is not one any more. That the last transaction's markers are still being written is no reason: only who
 *    coordinates says so, and between small transactions it is routine
 */
import { isProtocolError } from './failures.ts';

/** As much of KafkaJS's cluster as there is to know here; the rest is passed on. */
export interface Coordinating {
  findGroupCoordinator(which: CoordinatorName): Promise<BrokerHandle>;
  findBroker(which: { readonly nodeId: number }): Promise<BrokerHandle>;
}

export interface CoordinatorName {
  readonly groupId: string;
  readonly coordinatorType?: number;
}

export interface BrokerHandle {
  readonly nodeId: number;
}

type Steps = Readonly<Record<string, unknown>>;
/** KafkaJS's `eosManager`: the steps of a producer's transactions. */
export type CreateSteps = (options: { readonly cluster: Coordinating }) => Steps;

const STEPS = ['initProducerId', 'addPartitionsToTransaction', 'sendOffsets', 'commit', 'abort'];

export function rememberingCoordinators(create: CreateSteps): CreateSteps {
  return (options) => {
    const found = new Map<string, number>();
    const { cluster } = options;
    const findGroupCoordinator = async (which: CoordinatorName): Promise<BrokerHandle> => {
      const name = `${which.coordinatorType}/${which.groupId}`;
      const nodeId = found.get(name);
      if (nodeId !== undefined) {
        try {
          return await cluster.findBroker({ nodeId });
        } catch {
          found.clear();
        }
      }
      const broker = await cluster.findGroupCoordinator(which);
      found.set(name, broker.nodeId);
      return broker;
    };
    const steps = create({
      ...options,
      cluster: Object.create(cluster, { findGroupCoordinator: { value: findGroupCoordinator } }),
    });
    return { ...steps, ...Object.fromEntries(STEPS.map((name) => [name, forgetting(steps[name], found)])) };
  };
}

function forgetting(step: unknown, found: Map<string, number>): unknown {
  return async (...given: unknown[]) => {
    try {
      return await (step as (...given: unknown[]) => Promise<unknown>)(...given);
    } catch (error) {
      if (!isProtocolError(error, 'CONCURRENT_TRANSACTIONS')) found.clear();
      throw error;
    }
  };
}
