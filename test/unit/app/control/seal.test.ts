import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadMasterKeys, parseMasterKeys } from '../../../../src/app/control/master-key.ts';
import { createKeyring } from '../../../../src/app/control/seal.ts';
import { Secret } from '../../../../src/base/secret.ts';

const CANARY = 'canary-token-7f3a';
const context = { tenantId: 't_a', connectionId: 'cn_a', purpose: 'webhook-token' };
const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

describe('the keyring', () => {
  it('opens what it sealed, whatever the text', () => {
    const keyring = createKeyring([newKey]);
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
        (text) => {
          expect(keyring.open(keyring.seal(new Secret(text), context), context).reveal()).toBe(text);
        },
      ),
    );
  });

  it.each([
    ['tenant', { ...context, tenantId: 't_b' }],
    ['connection', { ...context, connectionId: 'cn_b' }],
    ['purpose', { ...context, purpose: 'api-key' }],
    ['boundary between tenant and connection', { ...context, tenantId: 't_ac', connectionId: 'n_a' }],
  ])('K1: does not open for another %s', (_what, other) => {
    const keyring = createKeyring([newKey]);
    const sealed = keyring.seal(new Secret(CANARY), context);
    expect(() => keyring.open(sealed, other)).toThrow(expect.objectContaining({ code: 'secret_unreadable' }));
  });

  it('K2: a new key in front seals, the old one still opens, and tells what to seal again', () => {
    const sealed = createKeyring([oldKey]).seal(new Secret(CANARY), context);
    const both = createKeyring([newKey, oldKey]);
    expect(both.open(sealed, context).reveal()).toBe(CANARY);
    expect(both.isStale(sealed)).toBe(true);
    const again = both.seal(new Secret(CANARY), context);
    expect(both.isStale(again)).toBe(false);
    expect(createKeyring([newKey]).open(again, context).reveal()).toBe(CANARY);
    expect(() => createKeyring([newKey]).open(sealed, context)).toThrow(
      expect.objectContaining({ code: 'secret_unreadable' }),
    );
  });

  it('K1, K3: opens nothing that was altered, and no error tells the secret, the sealed text or the key', () => {
    const keyring = createKeyring([newKey]);
    const sealed = keyring.seal(new Secret(CANARY), context);
    let refused = 0;
    for (let at = 0; at < sealed.length; at += 1) {
      const altered = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`;
      try {
        // The last digit of a base64 part has spare bits: altering only those changes nothing.
        expect(keyring.open(altered, context).reveal()).toBe(CANARY);
      } catch (error) {
        refused += 1;
        const told = `${inspect(error, { depth: 9 })}${JSON.stringify(error)}`;
        expect(error).toMatchObject({ code: 'secret_unreadable' });
        for (const hidden of [CANARY, sealed, newKey.toString('hex')]) expect(told).not.toContain(hidden);
      }
    }
    expect(refused).toBeGreaterThanOrEqual(sealed.length - 2);
  });

  it.each(['', 'v1', 'v2.a.b.c', 'v1.a.b.c', 'v1.....', 'x'.repeat(1_000)])('refuses %j', (text) => {
    expect(() => createKeyring([newKey]).open(text, context)).toThrow(
      expect.objectContaining({ code: 'secret_unreadable' }),
    );
  });

  it('never uses an IV twice, so equal secrets look different', () => {
    const keyring = createKeyring([newKey]);
    const sealed = new Set(Array.from({ length: 1_000 }, () => keyring.seal(new Secret(CANARY), context)));
    expect(sealed.size).toBe(1_000);
    expect([...sealed].join()).not.toContain(CANARY);
  });

  it('refuses to be without a whole key', () => {
    expect(() => createKeyring([])).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    expect(() => createKeyring([newKey, randomBytes(31)])).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});

describe('master keys', () => {
  it('are read as hex, base64 or URL-safe base64, several of them newest first', () => {
    const text = `${newKey.toString('hex')}\n${oldKey.toString('base64')},${newKey.toString('base64url')}\n`;
    expect(parseMasterKeys(text, 'X')).toEqual([newKey, oldKey, newKey]);
  });

  it.each([
    ['short', randomBytes(16).toString('hex')],
    ['long', randomBytes(33).toString('base64')],
    ['no key at all', 'correct horse battery staple!'],
    ['empty', ' \n'],
  ])('are refused when %s, without being quoted', (_what, text) => {
    try {
      parseMasterKeys(text, 'CN_MASTER_KEY');
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'config_invalid' });
      if (text.trim() !== '') expect(inspect(error)).not.toContain(text);
    }
  });

  it('come from the file before the variable, and it is said when there are none', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'master-key-')), 'key');
    writeFileSync(file, `${oldKey.toString('hex')}\n`);
    const variable = newKey.toString('hex');
    expect(await loadMasterKeys({ CN_MASTER_KEY_FILE: file, CN_MASTER_KEY: variable })).toEqual([oldKey]);
    expect(await loadMasterKeys({ CN_MASTER_KEY: variable })).toEqual([newKey]);
    await expect(loadMasterKeys({})).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(loadMasterKeys({ CN_MASTER_KEY_FILE: `${file}.no` })).rejects.toMatchObject({
      code: 'config_invalid',
    });
  });
});
