/** What the framework itself refuses, in the words of the API (H1 of server.ts). */
import type { FastifyError } from 'fastify';
import { ApiError, type ApiErrorCode } from './errors.ts';

/** By Fastify's codes. */
const FRAMEWORK: Readonly<Record<string, readonly [ApiErrorCode, string]>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['media_type_unsupported', 'bodies are JSON: send Content-Type: application/json'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large', 'the body exceeds the limit'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['request_malformed', 'Content-Length is not the length of the body'],
  FST_ERR_BAD_URL: ['request_malformed', 'the path is not well-formed'],
  FST_ERR_MAX_PARAM_LENGTH: ['not_found', 'nothing is served at this path'],
};

/** Undefined for all that is not its own. */
export function fromFramework(error: unknown): ApiError | undefined {
  const { code = '', statusCode } = (error ?? {}) as Partial<FastifyError>;
  const known = FRAMEWORK[code];
  if (known !== undefined) return new ApiError(known[0], known[1], { cause: error });
  const isTheirs = code.startsWith('FST_ERR_') && statusCode !== undefined && statusCode < 500;
  return isTheirs ? new ApiError('request_malformed', 'the request is not well-formed', { cause: error }) : undefined;
}
