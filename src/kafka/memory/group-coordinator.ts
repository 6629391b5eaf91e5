/**
 * One consumer group on the in-memory broker: the classic protocol with eager rebalancing.
 *
 * G1 A change of membership starts a rebalance: every member must join again before anyone is assigned anything.
 * G2 A generation's assignment is computed once, by the first member's assigner, over exactly its members.
 * G3 Members learn of a rebalance from the answer to their next heartbeat, never sooner.
 * G4 A member that neither beats nor waits in a join for its session timeout is evicted, which is a change (G1).
 */
import type { Assigner, Clock, TopicPartition } from '../port.ts';

export interface Joining {
  readonly topics: readonly string[];
  readonly assigner: Assigner;
  readonly sessionTimeoutMs: number;
  readonly assigned: (generation: number, partitions: readonly TopicPartition[]) => void;
  /** The assigner threw: this member cannot go on. */
  readonly crashed: (error: unknown) => void;
}

interface Member extends Joining {
  readonly id: string;
  /** Waiting for the rebalance to complete. */
  joined: boolean;
  deadlineMs: number;
  readonly gone: AbortController;
}

export interface GroupCoordinatorOptions {
  readonly groupId: string;
  readonly clock: Clock;
  readonly isUp: () => boolean;
  readonly defer: (work: () => void) => void;
  readonly partitionCount: (topic: string) => number;
}

export class GroupCoordinator {
  readonly #options: GroupCoordinatorOptions;
  readonly #members = new Map<string, Member>();
  #generation = 0;
  #rebalancing = false;
  #joins = 0;

  constructor(options: GroupCoordinatorOptions) {
    this.#options = options;
  }

  get memberIds(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** A new member; its id is the answer. */
  join(joining: Joining): string {
    this.#joins += 1;
    const id = `${this.#options.groupId}-member-${this.#joins}`;
    const member: Member = { ...joining, id, joined: true, deadlineMs: 0, gone: new AbortController() };
    this.#members.set(id, member);
    this.#touch(member);
    void this.#watch(member);
    this.#startRebalance();
    member.joined = true;
    this.#completeWhenAllJoined();
    return id;
  }

  /** False for an unknown member: it must `join` anew. */
  rejoin(id: string): boolean {
    const member = this.#members.get(id);
    if (member === undefined) return false;
    if (!this.#rebalancing) this.#startRebalance();
    member.joined = true;
    this.#completeWhenAllJoined();
    return true;
  }

  leave(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.delete(id);
    member.gone.abort();
    if (!this.#rebalancing) this.#startRebalance();
    this.#completeWhenAllJoined();
  }

  heartbeat(id: string, generation: number): 'ok' | 'rebalancing' | 'unknown' {
    const member = this.#members.get(id);
    if (member === undefined) return 'unknown';
    this.#touch(member);
    return this.#rebalancing || generation !== this.#generation ? 'rebalancing' : 'ok';
  }

  #startRebalance(): void {
    if (this.#rebalancing) return;
    this.#rebalancing = true;
    for (const member of this.#members.values()) member.joined = false;
  }

  #completeWhenAllJoined(): void {
    const members = [...this.#members.values()];
    if (!members.every((member) => member.joined)) return;
    this.#rebalancing = false;
    this.#generation += 1;
    const [leader] = members;
    if (leader === undefined) return;
    let assignment: ReadonlyMap<string, readonly TopicPartition[]>;
    try {
      const topics = new Set(members.flatMap((member) => member.topics));
      const counts = new Map([...topics].map((topic) => [topic, this.#options.partitionCount(topic)]));
      assignment = leader.assigner(this.memberIds, counts);
    } catch (error) {
      // The others are still waiting in their join, so the rebalance goes on without the leader.
      this.#members.delete(leader.id);
      leader.gone.abort();
      this.#options.defer(() => leader.crashed(error));
      this.#completeWhenAllJoined();
      return;
    }
    const generation = this.#generation;
    for (const member of members) {
      this.#touch(member);
      this.#options.defer(() => member.assigned(generation, assignment.get(member.id) ?? []));
    }
  }

  #touch(member: Member): void {
    member.deadlineMs = this.#options.clock.nowMs() + member.sessionTimeoutMs;
  }

  /** G4. A broker that is down expires nobody, and a new coordinator starts every session afresh. */
  async #watch(member: Member): Promise<void> {
    const { clock, isUp } = this.#options;
    while (this.#members.has(member.id)) {
      await clock.sleep(member.deadlineMs - clock.nowMs(), member.gone.signal);
      const waiting = this.#rebalancing && member.joined;
      if (waiting || !isUp()) this.#touch(member);
      else if (member.deadlineMs <= clock.nowMs()) this.leave(member.id);
    }
  }
}
