/** Progress as the value of one record of the ledger topic. Two bytes an unfinished record, or less, in any span we allow. */
import { CodedError } from '../../base/errors.ts';
import { ByteReader, ByteWriter } from '../bytes.ts';
import type { Progress } from './offsets.ts';

/** 2: names the offset of the group. */
const VERSION = 2;
const WITHOUT_GROUP_OFFSET = 1;

export function encodeProgress(progress: Progress): Buffer {
  const { commitOffset, nextOffset, unfinished, groupOffset = commitOffset } = progress;
  const writer = new ByteWriter().byte(VERSION).number(commitOffset - groupOffset);
  writer.number(commitOffset).number(nextOffset).number(unfinished.length);
  let last = commitOffset;
  for (const offset of unfinished) {
    writer.number(offset - last);
    last = offset;
  }
  return writer.finish();
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
  const fits = reader.isAtEnd && last <= nextOffset && behind <= commitOffset;
  if (!fits) throw new RangeError('the parts do not fit together');
  const progress = { commitOffset, nextOffset, unfinished };
  return behind === 0 ? progress : { ...progress, groupOffset: commitOffset - behind };
}
