/**
 * A limit of 100 in an hour and 400 commands that want a place, over eight sinks that come, go and are killed meanwhile:
 * exactly 100 are carried out.
 */
import { expect, it } from 'vitest';
import { startQuotaKeeper } from '../../src/sinks/quota/keeper.ts';
import { kafkaBrokers, openTestLog } from '../support/log-fixtures.ts';
import { SinkHouse, UNHURRIED, UNHURRIED_CALLS } from '../support/sinks/house.ts';
import { kill, letGo, owns, startMember } from '../support/sinks/member.ts';
import { waitFor } from '../support/wait-for.ts';
import { KEY, simulated } from '../unit/simulator/simulated.ts';

const MAX = 100;
const COMMANDS = 400;
const PARTITIONS = 8;
/** Of eight sinks so many are processes of their own. */
const MEMBERS = 3;
const HERE = 5;
const DEADLINE_MS = 90_000;

const POLICY = `policy: support-writes
rules:
  - allow: conversation.note.write
    limit: { per: hour, max: ${MAX} }
default: deny
`;

it(`${MAX} per hour is ${MAX}, whoever is killed, stopped or comes while ${COMMANDS} commands want a place`, async () => {
  const { log, prefix, connect } = openTestLog();
  const limits = { orgPerMinute: 1_000_000, createsPerCustomerMinute: 1_000_000 };
  const org = { conversations: 200, limits, service: { minMs: 5, maxMs: 40 } };
  const there = await simulated(org, { nowMs: Date.now });
  const shared = {
    prefix,
    apiUrl: there.url,
    apiKey: KEY,
    machineUserId: there.org.machineUserId,
    partitions: PARTITIONS,
    sessionTimeoutMs: 6000,
    lifecycle: UNHURRIED,
    timeouts: UNHURRIED_CALLS,
    policy: POLICY,
    limits: {},
  };
  const house = await SinkHouse.build({ ...shared, connect });
  const keeper = await startQuotaKeeper({
    log,
    topics: house.names,
    topicPrefix: prefix,
    observer: {
      assigned: () => undefined,
      opened: () => undefined,
      committed: () => undefined,
      failed: () => undefined,
      crashed: (error) => house.crashes.push(error),
    },
  });
  const member = () => startMember({ ...shared, brokers: kafkaBrokers() });
  const members = await Promise.all(Array.from({ length: MEMBERS }, member));
  const here = [];
  for (let n = 0; n < HERE; n++) here.push(await house.start());
  await Promise.all(members.map(owns));

  const ids = [...there.org.organisation.conversations.values()].map(({ id }) => id);
  const commands = Array.from({ length: COMMANDS }, (_, n) =>
    house.command({
      capability: 'conversation.note.write',
      args: { conversation_id: ids[n % ids.length], body: `Note ${n}` },
    }),
  );
  const [victim, leaver] = members;
  const writes = (count: number) =>
    waitFor(() => there.org.writes.count >= count, { message: `${count} notes`, everyMs: 1 });
  const part = (n: number) => house.send(...commands.slice((n * COMMANDS) / 4, ((n + 1) * COMMANDS) / 4));
  await part(0);
  await writes(10);
  await kill(victim as (typeof members)[number]);
  await part(1);
  await writes(40);
  const late = member();
  await letGo(leaver as (typeof members)[number]);
  await part(2);
  await house.stop(here[0] as (typeof here)[number]);
  await part(3);
  await waitFor(() => house.receipts.length >= COMMANDS, { message: 'a receipt for each', deadlineMs: DEADLINE_MS });
  await letGo(await late);
  for (const one of members.slice(2)) await letGo(one);
  await keeper.close();
  await house.close();

  const outcomes = house.receipts.map(({ outcome, verdict, error }) => `${verdict.decision} ${outcome} ${error?.code}`);
  const counts = Object.fromEntries([...Map.groupBy(outcomes, (one) => one)].map(([one, all]) => [one, all.length]));
  expect(counts).toEqual({
    'ALLOW applied undefined': MAX,
    'BLOCK refused limit_reached': COMMANDS - MAX,
  });
  expect(there.org.writes.count).toBe(MAX);
  expect(new Set(house.receipts.map(({ receipt_id }) => receipt_id)).size).toBe(COMMANDS);
  expect(house.crashes).toEqual([]);
}, 180_000);
