/**
 * The commands of one owned partition, from their records to their receipts: it carries out what the machines decide (lanes,
 * ledger, lifecycle) and tells them what came of it. What comes in is intake.ts, what is at work works.ts, the world calls.ts;
 * they share partition.ts.
 *
 * D1 what a decision rests on is durable before the world sees it: the call waits for the commit of its `in_flight`, and no
 *    receipt is ahead of the ledger
 * D2 a record is refused or buried in the transaction that moves past it
 * D3 after the signal nothing is taken up and nothing is called; what is under way has `drainMs` to end and be committed
 * D4 after a failed commit, and after that time, everything is given up as it is: connections are closed, nothing is told
 *    any more. What is not known then is read back by the next owner
 * D5 what a write was decided on is durable before the write, where the action says so (C14)
 * D6 what creates something for a customer has a place in that customer's pace, or waits for one with its lane and no other
 * D7 a call waits for the ends before it in its lane to be durable, all but those that Kustomer confirmed (lane-order.ts, O1)
 */
import type { OwnedPartition } from '../../kafka/owner-worker.ts';
import { AnswerDesk } from '../answers/desk.ts';
import type { Turn } from '../lanes.ts';
import { FullLedger } from './full-ledger.ts';
import { Intake } from './intake.ts';
import { type LaneWork, Partition, type Shared } from './partition.ts';
import { decoded, ensureReceipts } from './reading.ts';
import { lastProgress } from './resume.ts';
import { Works } from './works.ts';

export class PartitionSink {
  readonly #partition: Partition;
  readonly #works: Works;
  readonly #desk: AnswerDesk;

  constructor(shared: Shared, owned: OwnedPartition) {
    this.#partition = new Partition(shared, owned, (change) => this.#desk.noted(change));
    this.#works = new Works(this.#partition, (identity) => this.#desk.ended(identity));
    this.#desk = openDesk(this.#partition, this.#works);
  }

  /** Until the partition is let go; rejects with what ended it before. */
  async run(): Promise<void> {
    const { shared, owned } = this.#partition;
    const { lanes } = shared;
    const { partition, epoch, input } = owned;
    if (input === null) throw new TypeError('The sink needs an input');
    const progress = await lastProgress(owned, input);
    this.#partition.saw(progress?.latestMs);
    lanes.assign(partition, { epoch, position: input.position, progress });
    const unfinishedFrom = lanes.commitOffset(partition) ?? input.position;
    if (unfinishedFrom > input.position) input.seek(unfinishedFrom); // whatever the group says
    const full = new FullLedger(this.#partition);
    try {
      this.#partition.track(this.#desk.expire());
      await new Intake({ partition: this.#partition, input, full, atWork: () => this.#works.size }).run();
    } catch (error) {
      this.#partition.fail(error);
    }
    await this.#drain();
    for (const { ticket } of lanes.revoke(partition)) lanes.settle(ticket); // their slots are free
    full.clear(); // here it stands in nobody's way any more
    const { failure } = this.#partition;
    if (failure !== undefined) throw failure.error;
  }

  /** The lane lets it start, or go on. */
  turn({ ticket, value: work }: Turn<LaneWork>): void {
    if (this.#partition.isStopping) return;
    try {
      if (!('answer' in work)) this.#works.turn(work, ticket);
      // An answer that lets a command run goes on as that command.
      else if (!this.#works.resume(ticket)) {
        const answering = this.#desk.turn(work, ticket);
        if (answering !== undefined) this.#partition.track(answering);
      }
    } catch (error) {
      this.#partition.fail(error); // ours; whoever asked for turns may be another partition
    }
  }

  /** D3, D4. */
  async #drain(): Promise<void> {
    const partition = this.#partition;
    const { clock, settings } = partition.shared;
    partition.isStopping = true;
    this.#works.stop();
    const late = new AbortController();
    const settled = new AbortController();
    void clock.sleep(settings.drainMs, settled.signal).then(() => late.abort());
    const isDone = () => this.#works.size === 0 && partition.outbox.isEmpty;
    while (partition.failure === undefined && !late.signal.aborted && !isDone()) {
      await partition.changed.wait(late.signal);
    }
    settled.abort();
    this.#works.giveUp();
    await partition.settled();
  }
}

function openDesk(partition: Partition, works: Works): AnswerDesk {
  const { shared, owned, ledger, outbox, ending } = partition;
  const { topics, connections, observer, settings, clock } = shared;
  return new AnswerDesk({
    partition: owned.partition,
    commandsTopic: topics.commands,
    connections,
    observer,
    lifecycle: settings.lifecycle,
    ending,
    nowMs: () => partition.nowMs,
    sleep: (ms, signal) => clock.sleep(ms, signal),
    entry: (identity) => ledger.get(identity, partition.nowMs),
    held: () => ledger.held(),
    decoded: (record) => decoded(partition, record),
    ensureReceipts: (tenantId) => ensureReceipts(partition, tenantId),
    stage: ({ receipt, change = null, ...staged }) => {
      if (receipt === undefined) outbox.stage({ change, ...staged });
      else partition.stageReceipt(receipt, change);
    },
    bury: (record, why) => partition.bury(record, why),
    settle: (ticket, lane) => partition.settle(ticket, lane),
    backOff: (ticket, untilMs) => partition.backOff(ticket, untilMs),
    run: (work, ticket) => works.begin(work, ticket),
  });
}
