/** Progress as the value of one record of the ledger topic. Two bytes an unfinished record, or less, in any span we allow. */
import { CodedError } from '../../base/errors.ts';
import { ByteReader, ByteWriter } from '../bytes.ts';
import type { Progress } from './offsets.ts';

/** 2: names the offset of the group. 3: and the latest time. */
const VERSION = 3;
const WITHOUT_LATEST = 2;
const WITHOUT_GROUP_OFFSET = 1;

export function encodeProgress(progress: Progress): Buffer {
  const { commitOffset, nextOffset, unfinished, groupOffset = commitOffset, latestMs = null } = progress;
  const writer = new ByteWriter().byte(VERSION).number(commitOffset - groupOffset);
  writer.number(commitOffset).number(nextOffset).number(unfinished.length);
  let last = commitOffset;
  for (const offset of unfinished) {
    writer.number(offset - last);
    last = offset;
  }
  return writer.optional(latestMs, (atMs) => writer.number(atMs)).finish();
}

/** Throws `ledger_unreadable`. */
export function decodeProgress(bytes: Buffer): Progress {
  try {
    return read(new ByteReader(bytes));
  } catch (cause) {
    throw new CodedError('ledger_unreadable', 'The progress of a partition cannot be read', {}, { cause });
  }
}

function read(reader: ByteReader): Progress {
  const version = reader.byte();
  if (version < WITHOUT_GROUP_OFFSET || version > VERSION) throw new RangeError(`version ${version}`);
  const behind = version === WITHOUT_GROUP_OFFSET ? 0 : reader.number();
  const commitOffset = reader.number();
  const nextOffset = reader.number();
  const unfinished: number[] = [];
  let last = commitOffset;
  for (let left = reader.number(); left > 0; left--) {
    last += reader.number();
    unfinished.push(last);
  }
  const latestMs = version <= WITHOUT_LATEST ? null : reader.optional(() => reader.number());
  const fits = reader.isAtEnd && last <= nextOffset && behind <= commitOffset;
  if (!fits) throw new RangeError('the parts do not fit together');
  return {
    ...{ commitOffset, nextOffset, unfinished },
    ...(behind === 0 ? {} : { groupOffset: commitOffset - behind }),
    ...(latestMs === null ? {} : { latestMs }),
  };
}
