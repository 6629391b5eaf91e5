/**
 * The accounting: every change of the manifest against every envelope read. Pure; no clock, no I/O.
 *
 * I1 The order in which manifest lines and envelopes come together does not matter (the manifest may still be growing
 *    while the topics are read); only the order of envelopes within a partition does.
 * I2 A change is a (tenant, connection, resource type, resource id, revision), however often it was sent. It is
 *    accepted once any sending of it was answered 2xx.
 * I3 An accepted change has each envelope expected of it exactly once; one not accepted has each at most once, since a
 *    request without an answer may have been stored.
 * I4 One record is at most one defect of identity: doubled, wrong_topic, unexpected or event_id_reused. What is none of
 *    these fills the place (slot) of one expected envelope, and may still have wrong content or order.
 * I5 Order is judged over the envelopes that fill a slot: revisions of a resource ascend in offset order, except those
 *    flagged late. Late is unfounded unless a higher revision precedes, or one that cannot be seen may have: a change
 *    that gives no envelope, or whose envelope is missing.
 * I6 Memory: a small record per change and per envelope; payloads are kept only until their manifest line is known.
 */
import { isDeepStrictEqual } from 'node:util';
import { closeBooks } from './closing.ts';
import { type Defect, DefectList } from './defects.ts';
import { type EnvelopeFacts, envelopeFacts, fieldProblems, type Observed } from './envelope.ts';
import type { Expectation, ManifestEntry, ManifestSend } from './manifest.ts';
import { type Change, place, type Resource, Resources, type Sighting, type Slot, subject } from './resource.ts';

export interface AccountCounts {
  /** Lines of the manifest, duplicates included. */
  sent: number;
  changes: number;
  accepted: number;
  notAccepted: number;
  /** Envelopes expected of accepted changes, and how many of them were seen. */
  expected: number;
  seen: number;
  /** Records read from the envelope topics. */
  envelopes: number;
  /** Of connections the flood did not use. */
  foreign: number;
  /** On the flood's connections, written before it began. */
  earlier: number;
  deadLetters: number;
}

export interface AccountReport {
  readonly counts: Readonly<AccountCounts>;
  /** Envelopes that a change explains, by event type, the most frequent first. */
  readonly byType: Readonly<Record<string, number>>;
  readonly defects: Readonly<Record<Defect['kind'], number>>;
  readonly defectTotal: number;
  readonly samples: readonly Defect[];
  /** Accepted to visible, one per envelope whose arrival was watched; ascending. */
  readonly latenciesMs: Float64Array;
}

export interface AccountOptions {
  /** Any envelope the manifest does not explain is a defect, also on connections the flood did not use. */
  readonly strict: boolean;
  /** Dead letters are counted but are no defect. */
  readonly allowDead: boolean;
}

/** All of it at once. */
export function account(
  entries: Iterable<ManifestEntry>,
  envelopes: Iterable<Observed>,
  options: AccountOptions,
): AccountReport {
  const books = new Account(options);
  for (const entry of entries) books.entry(entry);
  for (const envelope of envelopes) books.envelope(envelope);
  return books.report();
}

export class Account {
  readonly #options: AccountOptions;
  readonly #resources = new Resources();
  readonly #eventIds = new Set<string>();
  readonly #found = new DefectList();
  readonly #tenants = new Set<string>();
  readonly #connections = new Set<string>();
  #manifestEnded = false;
  #startedAtMs = 0;
  #changes = 0;
  #sent = 0;
  #accepted = 0;
  #expected = 0;
  #seen = 0;
  #envelopes = 0;
  #deadLetters = 0;

  constructor(options: AccountOptions) {
    this.#options = options;
  }

  get expected(): number {
    return this.#expected;
  }
  get seen(): number {
    return this.#seen;
  }
  get envelopes(): number {
    return this.#envelopes;
  }
  /** Defects certain so far; missing, unexpected and order are known only in the report. */
  get defectsSoFar(): number {
    return this.#found.total;
  }

  entry(entry: ManifestEntry): void {
    if (entry.kind === 'header') {
      this.#startedAtMs = entry.startedAtMs;
      for (const target of entry.targets) {
        this.#tenants.add(target.tenantId);
        this.#connections.add(target.connectionId);
      }
    } else if (entry.kind === 'send') this.#send(entry);
  }

  /** No more entries will come, so payloads need not be kept for them (I6). */
  manifestEnded(): void {
    this.#manifestEnded = true;
    for (const resource of this.#resources.all()) for (const sighting of resource.sightings) sighting.facts = null;
  }

  #send(send: ManifestSend): void {
    this.#sent += 1;
    const resource = this.#resources.of(send.tenant, send.resource_type, send.resource_id);
    const change = resource.changes.get(send.rev) ?? this.#newChange(resource, send);
    if (change.connection !== send.connection || conflicts(change.slots, send.expect))
      this.#defect('manifest_conflict', null, subject(resource, send.rev), 'two lines of the manifest disagree');
    if (change.slots.length === 0 && send.expect.length > 0) this.#expect(resource, change, send.expect);
    if (isAccepted(send)) this.#accept(change, send.answeredAtMs ?? Number.POSITIVE_INFINITY);
  }

  #newChange(resource: Resource, send: ManifestSend): Change {
    const change: Change = { rev: send.rev, connection: send.connection, acceptedAtMs: null, slots: [] };
    resource.changes.set(send.rev, change);
    this.#changes += 1;
    this.#connections.add(send.connection);
    return change;
  }

  /** The slots of a change are known: settle what was seen of it before (I1). */
  #expect(resource: Resource, change: Change, expect: readonly Expectation[]): void {
    change.slots = expect.map((expectation) => ({ expectation, filledBy: null }));
    if (change.acceptedAtMs !== null) this.#expected += change.slots.length;
    for (const sighting of resource.sightings)
      if (sighting.rev === change.rev && sighting.facts !== null)
        this.#settle(resource, change, sighting, sighting.facts);
  }

  #accept(change: Change, answeredAtMs: number): void {
    if (change.acceptedAtMs === null) {
      this.#accepted += 1;
      this.#expected += change.slots.length;
      this.#seen += change.slots.filter((slot) => slot.filledBy !== null).length;
    }
    change.acceptedAtMs = Math.min(change.acceptedAtMs ?? Number.POSITIVE_INFINITY, answeredAtMs);
  }

  envelope(observed: Observed): void {
    this.#envelopes += 1;
    const facts = envelopeFacts(observed);
    const where = place(observed);
    const idReused = facts.eventId !== null && this.#eventIds.has(facts.eventId);
    if (facts.eventId !== null) this.#eventIds.add(facts.eventId);
    if (facts.tenantId !== observed.topicTenant) {
      this.#defect('wrong_topic', where, `${observed.topicTenant} ${facts.eventType}`, `tenant_id ${facts.tenantId}`);
      return;
    }
    if (facts.change === null) {
      const detail = 'resource_type, resource_id or revision is not in the payload';
      this.#defect('wrong_content', where, `${observed.topicTenant} ${facts.eventType}`, detail);
      return;
    }
    const resource = this.#resources.of(observed.topicTenant, facts.change.resourceType, facts.change.resourceId);
    const sighting: Sighting = {
      topic: observed.topic,
      partition: observed.partition,
      offset: observed.offset,
      timestampMs: observed.timestampMs,
      arrivalMs: observed.arrivalMs,
      watchedSinceMs: observed.watchedSinceMs ?? Number.NEGATIVE_INFINITY,
      rev: facts.change.rev,
      eventType: facts.eventType,
      connectionId: facts.connectionId,
      late: facts.late,
      idReused,
      facts: this.#manifestEnded ? null : facts,
      verdict: 'pending',
    };
    resource.sightings.push(sighting);
    const change = resource.changes.get(sighting.rev);
    if (change !== undefined && change.slots.length > 0) this.#settle(resource, change, sighting, facts);
  }

  /** Finds the slot this envelope fills (I3, I4): one whose fields agree if there is one, else one it fills wrongly. */
  #settle(resource: Resource, change: Change, sighting: Sighting, facts: EnvelopeFacts): void {
    sighting.facts = null;
    const about = subject(resource, change.rev, sighting.eventType);
    const slots = change.slots.filter((slot) => slot.expectation.event_type === sighting.eventType);
    if (slots.length === 0) {
      sighting.verdict = 'unexpected';
      return;
    }
    const open = slots.filter((slot) => slot.filledBy === null);
    const slot =
      open.find(({ expectation }) => fieldProblems(facts.payload, expectation.fields).length === 0) ?? open[0];
    if (slot === undefined) {
      sighting.verdict = 'doubled';
      const first = slots[0]?.filledBy;
      this.#defect('doubled', place(sighting), about, first ? `first at ${place(first)}` : '');
      return;
    }
    slot.filledBy = sighting;
    sighting.verdict = 'filled';
    if (change.acceptedAtMs !== null) this.#seen += 1;
    if (sighting.idReused) this.#defect('event_id_reused', place(sighting), about, `event_id ${facts.eventId}`);
    const problems = [...facts.problems, ...fieldProblems(facts.payload, slot.expectation.fields)];
    if (facts.connectionId !== null && facts.connectionId !== change.connection)
      problems.push(`payload.connection_id is ${facts.connectionId}, expected ${change.connection}`);
    if (problems.length > 0) this.#defect('wrong_content', place(sighting), about, problems.join('; '));
  }

  undecodable(observed: Omit<Observed, 'envelope'>, reason: string): void {
    this.#envelopes += 1;
    if (observed.timestampMs < this.#startedAtMs) return;
    this.#defect('undecodable', place(observed), observed.topicTenant, reason);
  }

  /** A record of the dead letter topic. Those of other connections, or from before the flood, do not concern it. */
  deadLetter(letter: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly timestampMs: number;
    readonly connectionId: string | null;
    readonly errorCode: string | null;
  }): void {
    if (letter.connectionId === null || !this.#connections.has(letter.connectionId)) return;
    if (letter.timestampMs < this.#startedAtMs) return;
    this.#deadLetters += 1;
    if (!this.#options.allowDead)
      this.#defect('dead_letter', place(letter), letter.connectionId, letter.errorCode ?? 'no error code');
  }

  /** Closes the books: what is only certain once all has been read is added here. Call once. */
  report(): AccountReport {
    const { byType, latenciesMs, foreign, earlier } = closeBooks({
      resources: this.#resources,
      tenants: this.#tenants,
      connections: this.#connections,
      startedAtMs: this.#startedAtMs,
      strict: this.#options.strict,
      defect: (...found) => this.#defect(...found),
    });
    return {
      counts: {
        sent: this.#sent,
        changes: this.#changes,
        accepted: this.#accepted,
        notAccepted: this.#changes - this.#accepted,
        expected: this.#expected,
        seen: this.#seen,
        envelopes: this.#envelopes,
        deadLetters: this.#deadLetters,
        foreign,
        earlier,
      },
      byType: Object.fromEntries([...byType].sort(([, a], [, b]) => b - a)),
      defects: this.#found.counts,
      defectTotal: this.#found.total,
      samples: this.#found.samples,
      latenciesMs: Float64Array.from(latenciesMs).sort(),
    };
  }

  #defect(kind: Defect['kind'], where: string | null, about: string, detail: string): void {
    this.#found.add({ kind, where, subject: about, detail });
  }
}

function isAccepted(send: ManifestSend): boolean {
  return typeof send.status === 'number' && send.status >= 200 && send.status < 300;
}

/** A duplicate may leave its expectations out; when it has some they must be the same. */
function conflicts(slots: readonly Slot[], expect: readonly Expectation[]): boolean {
  if (slots.length === 0 || expect.length === 0) return false;
  return !isDeepStrictEqual(
    slots.map((slot) => slot.expectation),
    expect,
  );
}
