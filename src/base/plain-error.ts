/** Errors as plain data, for what passes between threads: a structured clone of a CodedError would lose its code. */
import { CodedError, ERROR_TABLE, type ErrorCode } from './errors.ts';

/** Causes stay behind: their messages are part of the message. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly detail: CodedError['detail'];
}

export function toPlain({ code, message, detail }: CodedError): PlainError {
  return { code, message, detail };
}

/** A code this version does not know is fatal: nobody could say what may follow it. */
export function fromPlain({ code, message, detail }: PlainError): CodedError {
  const known = Object.hasOwn(ERROR_TABLE, code) ? (code as ErrorCode) : 'log_fatal';
  return new CodedError(known, message, detail);
}
