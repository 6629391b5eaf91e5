/** Sinks as processes of their own: started, killed, frozen and let go by their process ids. */
import { startProcess, type TestProcess } from '../process.ts';
import type { MemberOptions } from './sink-main.ts';

const READY_DEADLINE_MS = 60_000;
/** Until the group has noticed that somebody is gone, on a machine that does much else. */
const TAKEN_OVER_DEADLINE_MS = 60_000;

/** Resolves when it has joined the group. */
export async function startMember(options: MemberOptions): Promise<TestProcess> {
  const member = startProcess({
    script: 'test/support/sinks/sink-main.ts',
    env: { SINK_MEMBER: JSON.stringify(options) },
    endWith: 'SIGKILL',
  });
  await member.waitForOutput(/^ready$/m, READY_DEADLINE_MS);
  return member;
}

/** It has been given something to do. */
export async function owns(member: TestProcess): Promise<void> {
  await member.waitForOutput(/^assigned \d/m, TAKEN_OVER_DEADLINE_MS);
}

/** SIGTERM, which it must obey. */
export async function letGo(member: TestProcess): Promise<void> {
  member.signal('SIGTERM');
  const { code } = await member.waitForExit();
  if (code !== 0) throw new Error(`a sink ended with ${code} on SIGTERM:\n${member.output()}`);
}

/** SIGKILL. */
export async function kill(member: TestProcess): Promise<void> {
  member.signal('SIGKILL');
  await member.waitForExit();
}
