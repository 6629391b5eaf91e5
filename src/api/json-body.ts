/** How bodies are read: JSON only, in UTF-8, without keys that change what an object is, and no deeper than anything needs. */
import type { FastifyInstance } from 'fastify';
import { ApiError } from './errors.ts';

/** What walks through a value by calling itself ends with the stack: JSON.stringify does at some thousands. */
const MAX_DEPTH = 64;

export function readJson(app: FastifyInstance): void {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(null, undefined);
    let text: string;
    try {
      text = utf8.decode(body as Buffer);
    } catch {
      return done(new ApiError('invalid_json', 'the body is not UTF-8'));
    }
    if (isTooDeep(text)) {
      return done(new ApiError('invalid_json', `the body is nested more than ${MAX_DEPTH} deep`));
    }
    parse(request, text, (error, value) => {
      done(error === null ? null : new ApiError('invalid_json', 'the body is not well-formed JSON'), value);
    });
  });
}

/** Before it is parsed; of what is no JSON at all the parser will say so. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === BACKSLASH) at += 1;
      else if (char === QUOTE) inString = false;
    } else if (char === QUOTE) inString = true;
    else if (char === OPEN_BRACKET || char === OPEN_BRACE) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (char === CLOSE_BRACKET || char === CLOSE_BRACE) depth -= 1;
  }
  return false;
}

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];
