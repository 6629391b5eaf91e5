/**
 * Delivers to our own webhook address, twice: wrongly signed, which must be refused, and rightly signed in the name of
 * another organisation, which must be refused for that. So the signature is known to be checked, and nothing is stored.
 */
import { request } from 'undici';
import type { Check } from '../../api/ports.ts';
import type { ConnectionWithTokens } from '../../fibric/connection.ts';
import { SIGNATURE_HEADER, sign, signingKey } from '../../kustomer/signature.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_LENGTH = 10_000;
const NOBODY = 'f'.repeat(24);
const NAME = 'signature';

export async function checkSignature(
  connection: ConnectionWithTokens,
  url: string | null,
  signal: AbortSignal,
): Promise<Check> {
  const token = connection.webhookTokens.at(-1);
  if (url === null) return unknown('not_configured', 'the service does not know its own address', 'Set PUBLIC_URL.');
  if (token === undefined) {
    return unknown('no_token', 'there is no webhook token, so every delivery is refused', 'Make the webhook.');
  }
  const body = Buffer.from(JSON.stringify({ name: 'fibric.contract.check', org: NOBODY, data: null }));
  const deliver = (signature: string) => post({ url, body, signature, signal });
  try {
    const wrong = await deliver('0'.repeat(64));
    if (wrong.status !== 401) {
      return failed('not_checked', `a wrongly signed delivery was answered ${wrong.status} instead of 401`);
    }
    if (connection.orgId === null || connection.orgId === NOBODY) {
      return unknown('org_unknown', 'a wrong signature is refused; a right one was not tried', null);
    }
    const right = await deliver(sign(body, signingKey(token.reveal())));
    if (right.code === 'org_mismatch') return passed();
    if (right.status === 401) return failed('signature_refused', 'a rightly signed delivery was refused as not signed');
    return failed('unexpected', `a rightly signed delivery was answered ${right.status}`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const why = (error as NodeJS.ErrnoException).code ?? error.name;
    return unknown('unreachable', `the own webhook address does not answer (${why})`, 'Is PUBLIC_URL right?');
  }
}

interface Delivery {
  readonly url: string;
  readonly body: Buffer;
  readonly signature: string;
  readonly signal: AbortSignal;
}

async function post({ url, body, signature, signal }: Delivery): Promise<{ status: number; code: string | null }> {
  const answer = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature },
    body,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  let text = '';
  for await (const chunk of answer.body) {
    text += String(chunk);
    if (text.length > MAX_ANSWER_LENGTH) break; // whatever answers there, it is not this service
  }
  return { status: answer.statusCode, code: codeIn(text) };
}

function codeIn(text: string): string | null {
  try {
    const parsed = JSON.parse(text) as { error?: { code?: unknown } } | null;
    return typeof parsed?.error?.code === 'string' ? parsed.error.code : null;
  } catch {
    return null;
  }
}

function passed(): Check {
  const message = 'a rightly signed delivery passes the check, a wrongly signed one does not';
  return { name: NAME, ok: true, code: 'ok', message, nextStep: null };
}

function failed(code: string, message: string): Check {
  return { name: NAME, ok: false, code, message, nextStep: 'Is something else answering at PUBLIC_URL?' };
}

function unknown(code: string, message: string, nextStep: string | null): Check {
  return { name: NAME, ok: null, code, message, nextStep };
}
