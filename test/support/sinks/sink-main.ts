/** One sink as a process of its own, for tests that stop it for real. It says `ready` when it has joined, and ends on SIGTERM. */
import { openKafkaLog } from '../../../src/kafka/kafkajs/index.ts';
import { type HouseOptions, SinkHouse } from './house.ts';

export type MemberOptions = Omit<HouseOptions, 'connect' | 'tell'> & { readonly brokers: readonly string[] };

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { brokers, ...options } = JSON.parse(process.env['SINK_MEMBER'] ?? '') as MemberOptions;
const house = SinkHouse.join({
  ...options,
  connect: () => openKafkaLog({ settings: { brokers, clientId: `sink-${process.pid}` }, logger: quiet }),
  tell: (line) => {
    say(line);
    // As the service does: what is wrong with the program, the program does not outlive.
    if (line.startsWith('crashed')) process.exit(1);
  },
});
const member = await house.start();
process.once('SIGTERM', () => void house.stop(member).then(() => process.exit(0)));
say('ready');
