/**
 * The accounting against a model: a random flood and the log a right processor makes of it, in which one defect of each
 * kind is planted in turn. The report must find exactly that.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Account, type AccountOptions, type AccountReport, account } from '../../../../src/app/verify/account.ts';
import type { DefectKind } from '../../../../src/app/verify/defects.ts';
import type { Observed } from '../../../../src/app/verify/envelope.ts';
import type { ManifestEntry, ManifestSend } from '../../../../src/app/verify/manifest.ts';

const STARTED_AT_MS = 1_000_000;
const TENANTS = ['t_a', 't_b'] as const;
const LENIENT: AccountOptions = { strict: false, allowDead: false };

interface Flood {
  readonly entries: ManifestEntry[];
  readonly log: Observed[];
}

const header: ManifestEntry = {
  kind: 'header',
  version: 1,
  startedAtMs: STARTED_AT_MS,
  targets: TENANTS.map((tenantId) => ({ tenantId, connectionId: connectionOf(tenantId) })),
};

function connectionOf(tenant: string): string {
  return tenant.replace('t_', 'cn_');
}

const TYPES = ['conversation.status.changed', 'conversation.created', 'conversation.satisfaction.updated'];

interface ChangePlan {
  /** Which of TYPES the change gives; none = it is invisible. */
  readonly types: readonly string[];
  readonly accepted: boolean;
  /** Of a change not accepted: did the receiver store it all the same? */
  readonly storedAnyway: boolean;
  readonly duplicates: number;
}

const changePlan: fc.Arbitrary<ChangePlan> = fc.record({
  types: fc.subarray(TYPES, { minLength: 0, maxLength: 2 }),
  accepted: fc.boolean().map((refused) => !refused),
  storedAnyway: fc.boolean(),
  duplicates: fc.nat({ max: 2 }),
});

/** Resources of both tenants; each change with a sort key that decides the order of arrival. */
const flood: fc.Arbitrary<Flood> = fc
  .array(
    fc.record({
      tenant: fc.constantFrom(...TENANTS),
      changes: fc.array(fc.record({ plan: changePlan, at: fc.nat({ max: 1000 }) }), { minLength: 1, maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((resources) => makeFlood(resources));

function makeFlood(
  resources: readonly { tenant: string; changes: readonly { plan: ChangePlan; at: number }[] }[],
): Flood {
  const sends: { at: number; send: ManifestSend }[] = [];
  const stored: { at: number; tenant: string; id: string; rev: number; types: readonly string[] }[] = [];
  resources.forEach(({ tenant, changes }, index) => {
    const id = index.toString(16).padStart(24, '0');
    changes.forEach(({ plan, at }, place) => {
      const rev = place + 1;
      const send: ManifestSend = {
        kind: 'send',
        tenant,
        connection: connectionOf(tenant),
        resource_type: 'conversation',
        resource_id: id,
        rev,
        status: plan.accepted ? 200 : 503,
        answeredAtMs: STARTED_AT_MS + at,
        expect: plan.types.map((event_type) => ({ event_type, fields: { status: 'open', reopen_count: rev } })),
      };
      for (let copy = 0; copy <= plan.duplicates; copy += 1) sends.push({ at: at + copy, send });
      if (plan.accepted || plan.storedAnyway) stored.push({ at, tenant, id, rev, types: plan.types });
    });
  });
  sends.sort((a, b) => a.at - b.at);
  stored.sort((a, b) => a.at - b.at);
  const highest = new Map<string, number>();
  const log: Observed[] = [];
  for (const { at, tenant, id, rev, types } of stored) {
    const late = (highest.get(id) ?? 0) > rev;
    if (!late) highest.set(id, rev);
    for (const type of types) log.push(envelopeRecord({ tenant, id, rev, type, late, at, offset: log.length }));
  }
  return { entries: [header, ...sends.map(({ send }) => send), { kind: 'footer' }], log };
}

function envelopeRecord(about: {
  tenant: string;
  id: string;
  rev: number;
  type: string;
  late: boolean;
  at: number;
  offset: number;
}): Observed {
  return {
    topicTenant: about.tenant,
    topic: `fibric.events.${about.tenant}`,
    partition: 0,
    offset: about.offset,
    key: `conversation:${about.id}`,
    timestampMs: STARTED_AT_MS + about.at,
    arrivalMs: STARTED_AT_MS + about.at + 40,
    payloadRecord: about.type.replace(/(?:^|\.)(.)/g, (_, letter: string) => letter.toUpperCase()),
    envelope: {
      event_id: `ev-${about.tenant}-${about.id}-${about.rev}-${about.type}`,
      reseller_id: null,
      tenant_id: about.tenant,
      workspace_id: null,
      source: 'kustomer',
      event_type: about.type,
      correlation_id: 'co_1',
      payload: {
        resource_type: 'conversation',
        resource_id: about.id,
        revision: about.rev,
        entity: `conversation:${about.id}`,
        late: about.late,
        status: 'open',
        reopen_count: about.rev,
      },
      agent_id: null,
      session_id: null,
    },
  };
}

function defects(report: AccountReport): Partial<Record<DefectKind, number>> {
  return Object.fromEntries(Object.entries(report.defects).filter(([, count]) => count > 0));
}

function change(record: Observed, envelope: Record<string, unknown>, payload: Record<string, unknown> = {}): Observed {
  const old = record.envelope as Record<string, unknown>;
  const oldPayload = old['payload'] as Record<string, unknown>;
  return { ...record, envelope: { ...old, payload: { ...oldPayload, ...payload }, ...envelope } };
}

const payloadOf = (record: Observed) => (record.envelope as { payload: Record<string, unknown> }).payload;

/** Runs `plant` on the record `pick` chooses; floods without a suitable record prove nothing and are left out. */
function planted(
  suitable: (record: Observed, made: Flood) => boolean,
  plant: (record: Observed, made: Flood) => Observed[],
  expected: Partial<Record<DefectKind, number>>,
  options: AccountOptions = LENIENT,
): void {
  fc.assert(
    fc.property(flood, fc.nat(), (made, choice) => {
      const candidates = made.log.filter((record) => suitable(record, made));
      const victim = candidates[choice % Math.max(candidates.length, 1)];
      fc.pre(victim !== undefined);
      expect(defects(account(made.entries, plant(victim, made), options))).toEqual(expected);
    }),
    { numRuns: 200 },
  );
}

const any = () => true;
const swap = (made: Flood, victim: Observed, by: Observed[]) =>
  made.log.flatMap((record) => (record === victim ? by : [record]));

function sendOf(made: Flood, record: Observed): ManifestSend {
  const { resource_id, revision } = payloadOf(record);
  const found = made.entries.find((e) => e.kind === 'send' && e.resource_id === resource_id && e.rev === revision);
  if (found?.kind !== 'send') throw new Error('every envelope of the model has its change');
  return found;
}
const isAccepted = (record: Observed, made: Flood) => sendOf(made, record).status === 200;

const revOf = (record: Observed) => payloadOf(record)['revision'] as number;
const idOf = (record: Observed) => payloadOf(record)['resource_id'];
const higherBefore = (record: Observed, made: Flood) =>
  made.log.slice(0, made.log.indexOf(record)).some((r) => idOf(r) === idOf(record) && revOf(r) > revOf(record));
/** No invisible or lost higher revision could explain a late flag. */
const higherAllVisible = (record: Observed, made: Flood) =>
  made.entries.every(
    (e) =>
      e.kind !== 'send' ||
      e.resource_id !== idOf(record) ||
      e.rev <= revOf(record) ||
      (e.expect.length > 0 && made.log.some((r) => idOf(r) === e.resource_id && revOf(r) === e.rev)),
  );

describe('a right log', () => {
  test('has no defect, whatever was duplicated, reordered or refused (I2, I3)', () => {
    fc.assert(
      fc.property(flood, (made) => {
        const report = account(made.entries, made.log, { strict: true, allowDead: false });
        expect(defects(report)).toEqual({});
        expect(report.counts.seen).toBe(report.counts.expected);
        expect(report.counts.sent).toBe(made.entries.filter((e) => e.kind === 'send').length);
      }),
    );
  });

  test('has none either when manifest and log come in any interleaving (I1)', () => {
    fc.assert(
      fc.property(flood, fc.infiniteStream(fc.boolean()), (made, takeEntry) => {
        const books = new Account(LENIENT);
        const entries = [...made.entries];
        const log = [...made.log];
        while (entries.length + log.length > 0) {
          const entryNext = log.length === 0 || (entries.length > 0 && takeEntry.next().value === true);
          const entry = entryNext ? entries.shift() : undefined;
          if (entry !== undefined) books.entry(entry);
          else {
            const record = log.shift();
            if (record !== undefined) books.envelope(record);
          }
        }
        const report = books.report();
        expect(report).toEqual(account(made.entries, made.log, LENIENT));
        expect(books.seen).toBe(report.counts.expected);
      }),
    );
  });

  test('measures accepted to visible once per envelope of an accepted change', () => {
    fc.assert(
      fc.property(flood, (made) => {
        const report = account(made.entries, made.log, LENIENT);
        expect(report.latenciesMs.length).toBe(report.counts.expected);
        expect(report.latenciesMs.every((ms) => ms === 40)).toBe(true);
        const behind = made.log.map((record) => ({ ...record, watchedSinceMs: Number.MAX_SAFE_INTEGER }));
        expect(account(made.entries, behind, LENIENT).latenciesMs.length).toBe(0);
        const backlog = made.log.map((record) => ({ ...record, arrivalMs: null }));
        expect(account(made.entries, backlog, LENIENT).latenciesMs.length).toBe(0);
      }),
    );
  });
});

describe('exactly the planted defect is found', () => {
  test('missing: an accepted change without its envelope', () => {
    planted(isAccepted, (victim, made) => swap(made, victim, []), { missing: 1 });
  });

  test('not missing: the envelope of a change that was never accepted', () => {
    planted(
      (r, made) => !isAccepted(r, made),
      (victim, made) => swap(made, victim, []),
      {},
    );
  });

  test('doubled: the same record twice, event_id and all; also of a change not accepted (I3)', () => {
    planted(any, (victim, made) => [...made.log, { ...victim, offset: 900 }], { doubled: 1 });
  });

  test('doubled: the same change under another event_id', () => {
    const twin = (victim: Observed) => change({ ...victim, offset: 900 }, { event_id: 'another' });
    planted(any, (victim, made) => [...made.log, twin(victim)], { doubled: 1 });
  });

  test('event_id_reused: two changes under one event_id', () => {
    planted(
      (r, made) => r !== made.log[0],
      (victim, made) => {
        const first = made.log[0]?.envelope as { event_id: string };
        return swap(made, victim, [change(victim, { event_id: first.event_id })]);
      },
      { event_id_reused: 1 },
    );
  });

  const contents: [string, (r: Observed) => Observed][] = [
    ['a field differs', (r) => change(r, {}, { status: 'done' })],
    ['a field is absent', (r) => change(r, {}, { status: undefined })],
    ['an eleventh key', (r) => change(r, { extra: null })],
    ['another source', (r) => change(r, { source: 'cn-kustomer' })],
    ['an empty event_id', (r) => change(r, { event_id: '' })],
    ['an entity that is not the key', (r) => change(r, {}, { entity: 'conversation:other' })],
    ['the payload of another event type', (r) => ({ ...r, payloadRecord: 'CustomerUpdated' })],
    ['no key', (r) => ({ ...r, key: null })],
    ['another connection', (r) => change(r, {}, { connection_id: 'cn_other' })],
  ];
  test.each(contents)('wrong_content: %s', (_name, spoil) => {
    planted(any, (victim, made) => swap(made, victim, [spoil(victim)]), { wrong_content: 1 });
  });

  test('wrong_content: ten keys, one of them missing', () => {
    planted(
      any,
      (victim, made) => {
        const { session_id: _, ...nine } = victim.envelope as Record<string, unknown>;
        return swap(made, victim, [{ ...victim, envelope: nine }]);
      },
      { wrong_content: 1 },
    );
  });

  const otherTenant = (tenant: string) => (tenant === 't_a' ? 't_b' : 't_a');
  test('wrong_topic: a copy on the topic of another tenant', () => {
    const copy = (r: Observed) => ({ ...r, topicTenant: otherTenant(r.topicTenant), offset: 900 });
    planted(any, (victim, made) => [...made.log, copy(victim)], { wrong_topic: 1 });
  });

  test('wrong_topic: a copy that also claims to be that tenant', () => {
    const copy = (r: Observed) => {
      const tenant = otherTenant(r.topicTenant);
      return change({ ...r, topicTenant: tenant, offset: 900 }, { tenant_id: tenant });
    };
    planted(any, (victim, made) => [...made.log, copy(victim)], { wrong_topic: 1 });
  });

  test('out_of_order: a lower revision after a higher one, not flagged', () => {
    planted(higherBefore, (victim, made) => swap(made, victim, [change(victim, {}, { late: false })]), {
      out_of_order: 1,
    });
  });

  test('out_of_order: the resource moved to another partition', () => {
    planted(
      (r, made) =>
        made.log.findLast((x) => idOf(x) === idOf(r)) === r && made.log.find((x) => idOf(x) === idOf(r)) !== r,
      (victim, made) => swap(made, victim, [{ ...victim, partition: 1 }]),
      { out_of_order: 1 },
    );
  });

  test('late_unfounded: flagged though nothing higher precedes or could have (I5)', () => {
    planted(
      (r, made) => !higherBefore(r, made) && higherAllVisible(r, made),
      (victim, made) => swap(made, victim, [change(victim, {}, { late: true })]),
      { late_unfounded: 1 },
    );
  });

  test('unexpected: a revision the manifest does not know, on a connection of the flood', () => {
    const invented = (r: Observed) => change({ ...r, offset: 900 }, { event_id: 'x' }, { revision: 99 });
    planted(any, (victim, made) => [invented(victim), ...made.log], { unexpected: 1 });
  });

  test('unexpected: an event type the change does not give', () => {
    const invented = (r: Observed) => change({ ...r, offset: 900 }, { event_id: 'x', event_type: 'customer.updated' });
    planted(any, (victim, made) => [...made.log, invented(victim)], { unexpected: 1 });
  });

  test('unexpected: a foreign connection is one only with strict', () => {
    const foreign = (r: Observed) =>
      change({ ...r, offset: 900 }, { event_id: 'x' }, { resource_id: 'f'.repeat(24), connection_id: 'cn_z' });
    planted(any, (victim, made) => [...made.log, foreign(victim)], {});
    planted(
      any,
      (victim, made) => [...made.log, foreign(victim)],
      { unexpected: 1 },
      { strict: true, allowDead: false },
    );
  });

  test('nothing: an envelope of the connection from before the flood', () => {
    const old = (r: Observed) =>
      change(
        { ...r, timestampMs: STARTED_AT_MS - 1 },
        { event_id: 'x' },
        { resource_id: 'e'.repeat(24), connection_id: connectionOf(r.topicTenant) },
      );
    planted(any, (victim, made) => [old(victim), ...made.log], {});
  });
});

describe('the rest of the books', () => {
  const one = makeFlood([
    {
      tenant: 't_a',
      changes: [{ plan: { types: TYPES.slice(0, 1), accepted: true, storedAnyway: true, duplicates: 0 }, at: 0 }],
    },
  ]);
  const letter = { topic: 'dead', partition: 0, offset: 0, timestampMs: STARTED_AT_MS + 1, errorCode: 'event_invalid' };
  const books = (options: AccountOptions) => {
    const made = new Account(options);
    for (const entry of one.entries) made.entry(entry);
    for (const record of one.log) made.envelope(record);
    return made;
  };

  test('dead letters of the flood are defects unless allowed; others are not its concern', () => {
    const ours = { ...letter, connectionId: 'cn_a' };
    for (const [options, expected] of [
      [LENIENT, { dead_letter: 1 }],
      [{ strict: false, allowDead: true }, {}],
    ] as const) {
      const made = books(options);
      made.deadLetter(ours);
      made.deadLetter({ ...letter, connectionId: 'cn_z' });
      made.deadLetter({ ...ours, timestampMs: STARTED_AT_MS - 1 });
      const report = made.report();
      expect(defects(report)).toEqual(expected);
      expect(report.counts.deadLetters).toBe(1);
    }
  });

  test('a record that cannot be decoded is a defect', () => {
    const made = books(LENIENT);
    const [record] = one.log;
    if (record === undefined) throw new Error('the model has one record');
    made.undecodable({ ...record, offset: 7 }, 'no magic byte');
    expect(defects(made.report())).toEqual({ undecodable: 1 });
  });

  test('a manifest that contradicts itself is a defect', () => {
    const send = sendOf(one, one.log[0] as Observed);
    const other: ManifestSend = { ...send, expect: [{ event_type: TYPES[0] as string, fields: { status: 'done' } }] };
    expect(defects(account([...one.entries, other], one.log, LENIENT))).toEqual({ manifest_conflict: 1 });
    expect(defects(account([...one.entries, { ...send, expect: [] }], one.log, LENIENT))).toEqual({});
  });

  test('a change refused first and accepted when sent again is accepted, from its first 2xx on', () => {
    const send = sendOf(one, one.log[0] as Observed);
    const refused = { ...send, status: 503, answeredAtMs: STARTED_AT_MS - 500 };
    const again = { ...send, answeredAtMs: STARTED_AT_MS + 30 };
    const report = account([header, refused, send, again], one.log, LENIENT);
    expect(report.counts).toMatchObject({ changes: 1, accepted: 1, notAccepted: 0, expected: 1, seen: 1, sent: 3 });
    expect([...report.latenciesMs]).toEqual([40]);
  });
});
