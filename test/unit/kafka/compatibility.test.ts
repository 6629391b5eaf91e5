import { describe, expect, it } from 'vitest';
import { findIncompatibilities } from '../../../src/kafka/compatibility.ts';

const record = (...fields: object[]) => ({ type: 'record', name: 'Note', fields });
const ID = { name: 'id', type: 'string' };
const v1 = { name: 'v1', schema: record(ID) };
const v2 = { name: 'v2', schema: record(ID, { name: 'n', type: 'int' }) };

describe('findIncompatibilities', () => {
  it('finds nothing where a field with a default is added, a field is dropped or a number widened', () => {
    expect(findIncompatibilities(record(ID, { name: 'text', type: ['null', 'string'], default: null }), [v1])).toEqual(
      [],
    );
    expect(findIncompatibilities(record(ID), [v1, v2])).toEqual([]);
    expect(findIncompatibilities(record(ID, { name: 'n', type: 'long' }), [v2])).toEqual([]);
    expect(findIncompatibilities(record(), [])).toEqual([]);
  });

  it('names each version that a field without default, a narrower number or another name breaks', () => {
    expect(findIncompatibilities(record(ID, { name: 'text', type: 'string' }), [v1, v2]).map((p) => p.version)).toEqual(
      ['v1', 'v2'],
    );
    expect(findIncompatibilities(record({ name: 'id', type: 'int' }), [v1])).toHaveLength(1);
    expect(findIncompatibilities({ ...record(ID), name: 'Renamed' }, [v1])).toHaveLength(1);
  });

  it('is transitive: a version that the one in between could read is still checked', () => {
    const schema = record(ID, { name: 'n', type: 'int' });
    expect(findIncompatibilities(schema, [v2])).toEqual([]);
    expect(findIncompatibilities(schema, [v1, v2])).toEqual([{ version: 'v1', problem: expect.stringContaining('n') }]);
  });

  it('sees into unions: a branch that is gone, or a field without default in a branch', () => {
    const branch = (name: string, ...fields: object[]) => ({ type: 'record', name, fields });
    const envelope = (...branches: object[]) => record({ name: 'payload', type: branches });
    const old = { name: 'old', schema: envelope(branch('A', ID), branch('B', ID)) };
    expect(findIncompatibilities(envelope(branch('A', ID), branch('B', ID), branch('C')), [old])).toEqual([]);
    expect(findIncompatibilities(envelope(branch('A', ID)), [old])).toHaveLength(1);
    expect(
      findIncompatibilities(envelope(branch('A', ID, { name: 'x', type: 'int' }), branch('B', ID)), [old]),
    ).toHaveLength(1);
  });

  it('reports what is no schema at all instead of throwing', () => {
    expect(findIncompatibilities({ type: 'rec' }, [v1])).toEqual([{ version: '(new)', problem: expect.any(String) }]);
    expect(findIncompatibilities(null, [v1])).toHaveLength(1);
    expect(findIncompatibilities(record(ID), [{ name: 'bad', schema: 5 }, v1])).toEqual([
      { version: 'bad', problem: expect.any(String) },
    ]);
  });
});
