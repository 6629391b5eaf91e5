/**
 * Confluent wire format with avsc directly: byte 0 is 0, bytes 1–4 the schema id (big-endian), then the Avro body.
 *
 * The registry client's own encode and decode are not used: with a reader schema its decode builds type and resolver
 * anew for each record, about a hundred times slower.
 */
import avsc from 'avsc';
import { CodedError } from '../base/errors.ts';
import { OnceMap } from './once-map.ts';

const MAGIC_BYTE = 0;
const HEADER_BYTES = 5;
const FIRST_SCRATCH_BYTES = 4 * 1024;
/** One giant record must not pin its scratch buffer for ever. */
const MAX_KEPT_SCRATCH_BYTES = 256 * 1024;

/** The part of an avsc type that encoding needs. */
export interface AvroEncoder<T> {
  /** Position after the last byte written, or minus the number of bytes that were missing. */
  encode(value: T, into: Buffer, position: number): number;
  isValid(value: unknown, options?: { errorHook?: (path: string[], value: unknown) => void }): boolean;
}

/** Encodes values of one schema. One scratch buffer, so one encoder must not be used by two threads. */
export class WireEncoder<T> {
  readonly schemaId: number;
  readonly #type: AvroEncoder<T>;
  #scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH_BYTES);

  constructor(options: { readonly schemaId: number; readonly type: AvroEncoder<T> }) {
    this.schemaId = options.schemaId;
    this.#type = options.type;
  }

  /** A buffer of its own, of exactly the record's length. Throws `envelope_unencodable`, which names the field and no value. */
  encode(value: T): Buffer {
    const end = this.#encode(value);
    const scratch = this.#scratch;
    scratch[0] = MAGIC_BYTE;
    scratch.writeUInt32BE(this.schemaId, 1);
    const record = Buffer.allocUnsafe(end);
    scratch.copy(record, 0, 0, end);
    if (scratch.length > MAX_KEPT_SCRATCH_BYTES) this.#scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH_BYTES);
    return record;
  }

  #encode(value: T): number {
    try {
      const end = this.#type.encode(value, this.#scratch, HEADER_BYTES);
      if (end >= 0) return end;
      this.#scratch = Buffer.allocUnsafeSlow(roundUp(this.#scratch.length - end));
      return this.#type.encode(value, this.#scratch, HEADER_BYTES);
    } catch (error) {
      throw unencodable(this.#type, value) ?? error;
    }
  }
}

/** avsc's own message quotes the value, which may be anybody's personal data: only the path is told. */
function unencodable<T>(type: AvroEncoder<T>, value: T): CodedError | undefined {
  const paths = new Set<string>();
  const isValid = type.isValid(value, { errorHook: (path) => paths.add(path.join('.') || '(root)') });
  if (isValid) return undefined;
  const fields = [...paths].slice(0, 5).join(', ');
  return new CodedError('envelope_unencodable', `The value does not fit its schema at: ${fields}`, { fields });
}

function roundUp(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes));
}

/** Schema id of a record in wire format. Throws `message_undecodable` for anything else. */
export function wireSchemaId(record: Buffer): number {
  if (record.length < HEADER_BYTES || record[0] !== MAGIC_BYTE) {
    throw new CodedError('message_undecodable', 'Not in Confluent wire format', { bytes: record.length });
  }
  return record.readUInt32BE(1);
}

export interface WireDecoderOptions {
  /** What the caller wants to see; absent means the writer's own shape. */
  readonly readerType?: avsc.Type;
  /** Schema text of an id, from the registry. */
  readonly fetchSchema: (schemaId: number) => Promise<string>;
}

/** How records of one writer schema are read. `resolver` is absent where reader and writer are the same type. */
interface Reading {
  readonly type: avsc.Type;
  readonly resolver: ReturnType<avsc.Type['createResolver']> | undefined;
}

/** Decodes records of any writer schema. Each id is fetched once; a failed fetch is tried again by the next caller. */
export class WireDecoder<T> {
  readonly #readerType: avsc.Type | undefined;
  readonly #fetchSchema: (schemaId: number) => Promise<string>;
  readonly #readings = new OnceMap<number, Reading>();

  constructor(options: WireDecoderOptions) {
    this.#readerType = options.readerType;
    this.#fetchSchema = options.fetchSchema;
  }

  /** What must be waited for before `decode(record)`: undefined when its schema is known already. */
  prepare(record: Buffer): Promise<void> | undefined {
    const schemaId = wireSchemaId(record);
    if (this.#readings.peek(schemaId) !== undefined) return undefined;
    return this.#load(schemaId).then(() => undefined);
  }

  /** Synchronous; the record must have been prepared. */
  decode(record: Buffer): T {
    const schemaId = wireSchemaId(record);
    const reading = this.#readings.peek(schemaId);
    if (reading === undefined) throw new Error(`Schema ${schemaId} has not been prepared`);
    return read<T>(record, schemaId, reading);
  }

  /** `prepare` and `decode` in one. */
  async read(record: Buffer): Promise<T> {
    const schemaId = wireSchemaId(record);
    return read<T>(record, schemaId, this.#readings.peek(schemaId) ?? (await this.#load(schemaId)));
  }

  #load(schemaId: number): Promise<Reading> {
    return this.#readings.get(schemaId, async () => {
      const text = await this.#fetchSchema(schemaId);
      try {
        const writerType = avsc.Type.forSchema(JSON.parse(text));
        const readerType = this.#readerType;
        if (readerType === undefined) return { type: writerType, resolver: undefined };
        return { type: readerType, resolver: readerType.createResolver(writerType) };
      } catch (cause) {
        throw new CodedError('message_undecodable', 'This reader cannot read the schema', { schemaId }, { cause });
      }
    });
  }
}

function read<T>(record: Buffer, schemaId: number, reading: Reading): T {
  let decoded: { value: unknown; offset: number };
  try {
    decoded = reading.type.decode(record, HEADER_BYTES, reading.resolver);
  } catch (cause) {
    throw new CodedError('message_undecodable', 'The body is not of its schema', { schemaId }, { cause });
  }
  if (decoded.offset !== record.length) {
    throw new CodedError('message_undecodable', 'The body is longer or shorter than its schema says', { schemaId });
  }
  return decoded.value as T;
}
