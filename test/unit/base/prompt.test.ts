import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createSecretReader, readSecret, type SecretInput } from '../../../src/base/prompt.ts';

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

describe('several secrets', () => {
  function piped(text: string) {
    const input = new PassThrough();
    input.end(text);
    return createSecretReader({ input, output: new PassThrough() });
  }

  it('are the lines of a pipe, in turn', async () => {
    const secrets = piped('token-1\r\nkey-1\n');
    expect((await secrets.read('webhook token: ')).reveal()).toBe('token-1');
    expect((await secrets.read('API key: ')).reveal()).toBe('key-1');
    secrets.done();
  });

  it('are refused where one is missing, saying which, or where there are more than were asked for', async () => {
    const short = piped('token-canary\n');
    await short.read('webhook token: ');
    const missing = await short.read('API key: ').catch((error: unknown) => error);
    expect(missing).toMatchObject({ code: 'config_invalid', message: 'nothing was given for: API key' });
    const long = piped('token-canary\nkey-canary\n');
    await long.read('webhook token: ');
    expect(() => long.done()).toThrow(/more lines came in/);
    expect(inspect(missing)).not.toContain('canary');
  });

  it('are not read from a pipe nobody asked', () => {
    expect(() => piped('something\n').done()).not.toThrow();
  });

  it('are asked for one after the other on a terminal', async () => {
    const { input, output } = terminal();
    const secrets = createSecretReader({ input, output });
    for (const text of ['token-1', 'key-1']) {
      const reading = secrets.read(`${text}? `);
      input.write(`${text}\r`);
      expect((await reading).reveal()).toBe(text);
    }
    secrets.done();
    expect(output.read()?.toString()).toBe('token-1? \nkey-1? \n');
  });
});
