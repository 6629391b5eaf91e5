import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readSecret, type SecretInput } from '../../../src/app/prompt.ts';

function terminal() {
  const raw: boolean[] = [];
  const input: SecretInput = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on),
  });
  const output = new PassThrough();
  return { input: input as SecretInput & PassThrough, output, raw };
}

describe('readSecret', () => {
  it.each([
    ['token-1\n', 'token-1'],
    ['token-1\r\n', 'token-1'],
    ['token-1', 'token-1'],
    [' to ken \n', ' to ken '],
  ])('reads %j from a pipe without its line end', async (piped, wanted) => {
    const input = new PassThrough();
    input.end(piped);
    expect((await readSecret({ input, output: new PassThrough(), question: '' })).reveal()).toBe(wanted);
  });

  it.each([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['far too much', 'x'.repeat(20_000)],
  ])('refuses %s', async (_what, piped) => {
    const input = new PassThrough();
    input.end(piped);
    await expect(readSecret({ input, output: new PassThrough(), question: '' })).rejects.toMatchObject({
      code: 'config_invalid',
    });
  });

  it('asks on a terminal, echoes nothing, understands backspace, and leaves the terminal as it was', async () => {
    const { input, output, raw } = terminal();
    const secret = readSecret({ input, output, question: 'Token: ' });
    input.write('tokem');
    input.write('\u007fn-1\r');
    expect((await secret).reveal()).toBe('token-1');
    expect(output.read()?.toString()).toBe('Token: \n');
    expect(raw).toEqual([true, false]);
    expect(input.listenerCount('data')).toBe(0);
  });

  it('stops at Ctrl-C and restores the terminal', async () => {
    const { input, output, raw } = terminal();
    const secret = readSecret({ input, output, question: 'Token: ' });
    input.write('canary\u0003');
    const error = await secret.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'config_invalid' });
    expect(inspect(error)).not.toContain('canary');
    expect(raw).toEqual([true, false]);
  });
});
