import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/base/errors.ts';
import { WireDecoder, WireEncoder, wireSchemaId } from '../../../src/kafka/wire.ts';

interface Note {
  id: string;
  text: string | null;
}

const V1 = { type: 'record', name: 'Note', fields: [{ name: 'id', type: 'string' }] } as const;
const V2 = {
  type: 'record',
  name: 'Note',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'text', type: ['null', 'string'], default: null },
  ],
} as const;
const typeOf = (schema: unknown) => avsc.Type.forSchema(schema as avsc.Schema);

function encoder(schemaId = 7): WireEncoder<Note> {
  return new WireEncoder<Note>({ schemaId, type: typeOf(V2) });
}

/** A registry of constants that counts how often it is asked. */
function schemas(known: Record<number, unknown>) {
  const asked: number[] = [];
  const fetchSchema = async (schemaId: number): Promise<string> => {
    asked.push(schemaId);
    const schema = known[schemaId];
    if (schema === undefined) throw new CodedError('schema_unknown', 'no such id');
    return JSON.stringify(schema);
  };
  return { asked, fetchSchema };
}

const thrown = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('WireEncoder', () => {
  it('writes magic byte, id and body, exactly', () => {
    const record = encoder(0x01020304).encode({ id: 'n1', text: null });
    expect(record.toString('hex')).toBe(`0001020304${typeOf(V2).toBuffer({ id: 'n1', text: null }).toString('hex')}`);
    expect(wireSchemaId(record)).toBe(0x01020304);
    expect(wireSchemaId(encoder(0xfffffffe).encode({ id: '', text: null }))).toBe(0xfffffffe);
  });

  it('grows its scratch for large values, and an earlier record is not touched by a later one', () => {
    const notes = encoder();
    const first = notes.encode({ id: 'first', text: 'small' });
    const kept = Buffer.from(first);
    for (const length of [4_090, 4_091, 4_092, 5_000, 300_000, 3, 1_000_000, 1]) {
      const note = { id: 'n', text: 'é'.repeat(length) };
      const record = notes.encode(note);
      expect(record.subarray(5).equals(typeOf(V2).toBuffer(note)), `${length}`).toBe(true);
    }
    expect(first.equals(kept)).toBe(true);
  });

  it('refuses a value that does not fit, names the field and never the value', () => {
    const notes = encoder();
    const error = thrown(() => notes.encode({ id: 'n', text: 4_111_222 } as unknown as Note));
    expect(error).toMatchObject({ code: 'envelope_unencodable', disposition: 'park', detail: { fields: 'text' } });
    expect(`${error} ${JSON.stringify(error)} ${(error as Error).cause}`).not.toContain('4111222');
    expect(notes.encode({ id: 'n', text: null })).toHaveLength(8); // and goes on working
  });

  it('lets an error that is not about the value pass as it is', () => {
    const type = {
      encode: () => {
        throw new TypeError('a bug');
      },
      isValid: () => true,
    };
    expect(thrown(() => new WireEncoder({ schemaId: 1, type }).encode({}))).toBeInstanceOf(TypeError);
  });
});

describe('WireDecoder', () => {
  it('gives back what was encoded', async () => {
    const { fetchSchema } = schemas({ 7: V2 });
    const decoder = new WireDecoder<Note>({ readerType: typeOf(V2), fetchSchema });
    const notes = encoder();
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }),
        fc.option(fc.string({ maxLength: 9_000 })),
        async (id, text) => {
          expect({ ...(await decoder.read(notes.encode({ id, text }))) }).toEqual({ id, text });
        },
      ),
    );
  });

  it('reads an older writer into the shape of the reader, or the writer’s own shape without one', async () => {
    const record = new WireEncoder({ schemaId: 3, type: typeOf(V1) }).encode({ id: 'old' });
    const { fetchSchema } = schemas({ 3: V1 });
    expect({ ...(await new WireDecoder<Note>({ readerType: typeOf(V2), fetchSchema }).read(record)) }).toEqual({
      id: 'old',
      text: null,
    });
    expect({ ...(await new WireDecoder<Note>({ fetchSchema }).read(record)) }).toEqual({ id: 'old' });
  });

  it('fetches an id once, whoever asks meanwhile, and is synchronous from then on', async () => {
    const { asked, fetchSchema } = schemas({ 7: V2 });
    const decoder = new WireDecoder<Note>({ fetchSchema });
    const record = encoder().encode({ id: 'n', text: null });
    expect(() => decoder.decode(record)).toThrow('not been prepared');
    await Promise.all([decoder.prepare(record), decoder.prepare(record), decoder.read(record)]);
    expect(decoder.prepare(record)).toBeUndefined();
    expect({ ...decoder.decode(record) }).toEqual({ id: 'n', text: null });
    expect(asked).toEqual([7]);
  });

  it('tries again after a failed fetch', async () => {
    const known: Record<number, unknown> = {};
    const { asked, fetchSchema } = schemas(known);
    const decoder = new WireDecoder<Note>({ fetchSchema });
    const record = encoder().encode({ id: 'n', text: null });
    await expect(decoder.read(record)).rejects.toMatchObject({ code: 'schema_unknown' });
    known[7] = V2;
    expect((await decoder.read(record)).id).toBe('n');
    expect(asked).toEqual([7, 7]);
  });

  it('parks what is not in the format, truncated, too long or unreadable, without asking for a schema in vain', async () => {
    const { asked, fetchSchema } = schemas({ 7: V2, 8: { type: 'record', name: 'Other', fields: [] } });
    const decoder = new WireDecoder<Note>({ readerType: typeOf(V2), fetchSchema });
    const undecodable = expect.objectContaining({ code: 'message_undecodable', disposition: 'park' });
    for (const bytes of ['', '{"id":1}', '\x00\x00\x00']) {
      await expect(decoder.read(Buffer.from(bytes))).rejects.toEqual(undecodable);
    }
    expect(asked).toEqual([]);
    const record = encoder().encode({ id: 'note', text: 'text' });
    for (let length = 5; length < record.length; length++) {
      await expect(decoder.read(record.subarray(0, length)), `${length}`).rejects.toEqual(undecodable);
    }
    await expect(decoder.read(Buffer.concat([record, Buffer.from([0])]))).rejects.toEqual(undecodable);
    await expect(decoder.read(Buffer.from('0000000008', 'hex'))).rejects.toEqual(undecodable);
    expect((await decoder.read(record)).text).toBe('text');
  });
});
