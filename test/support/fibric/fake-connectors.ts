/** Installing, with the probe that tells the failures of the guide apart: each key of the fixtures is one of them. */
import { type Answer, Refusal, type World } from './fake-api.ts';
import { connectorOf, type Json, LIMITED_KEY, READING_KEY, REVOKED_KEY } from './fixtures.ts';

const KNOWN = ['subdomain', 'poll_interval', 'backfill_since'];

export function installConnector(body: Json, world: World): Answer {
  const { name, api_key: given, config = {} } = body as { name: string; api_key?: string; config?: Json };
  const before = world.connectors.find((one) => one['name'] === name);
  const unknown = Object.keys(config).filter((key) => !KNOWN.includes(key));
  if (unknown.length > 0) {
    const problems = unknown.map((key) => ({
      field: `config.${key}`,
      code: 'unknown_field',
      message: 'is no parameter',
    }));
    throw new Refusal(422, 'config_invalid', 'the configuration is not taken', problems);
  }
  if (before === undefined && config['subdomain'] === undefined) {
    throw new Refusal(422, 'config_invalid', 'subdomain is missing', [
      { field: 'config.subdomain', code: 'missing', message: 'is missing' },
    ]);
  }
  const key = given ?? '';
  const checks = checksOf(key);
  const status = key === REVOKED_KEY ? 'error' : key === READING_KEY || key === LIMITED_KEY ? 'degraded' : 'ready';
  // A key that Kustomer refuses is not put in the place of the present one.
  if (status === 'error' && before !== undefined) {
    return { status: 200, body: { ...before, created: false, key_stored: false, probe: { status, checks } } };
  }
  const made: Json = {
    ...connectorOf(name, key, { ...(before?.['config'] as Json | undefined), ...config }),
    ...(status === 'error' && { status: 'error', status_detail: 'Kustomer refuses the API key' }),
  };
  // Of the fixtures only: what a live write meets there.
  made['writable'] = key !== READING_KEY;
  world.connectors = [...world.connectors.filter((one) => one !== before), made];
  return {
    status: before === undefined ? 201 : 200,
    body: { ...made, created: before === undefined, key_stored: status !== 'error', probe: { status, checks } },
  };
}

function checksOf(key: string): readonly Json[] {
  const well = (name: string, message: string): Json => ({
    name,
    ok: true,
    status: 'ok',
    code: 'ok',
    message,
    next_step: null,
  });
  const bad = (name: string, code: string, message: string): Json => ({
    ...{ name, ok: false, status: 'failed', code, message },
    next_step: null,
  });
  if (key === REVOKED_KEY) return [bad('authentication', 'unauthorized', 'Kustomer answered 401 Unauthorized')];
  if (key === LIMITED_KEY) return [bad('authentication', 'rate_limited', 'Kustomer answered 429, Retry-After 7 s')];
  return [
    well('authentication', 'Kustomer knows the key'),
    well('read', 'conversations, messages and customers can be read'),
    key === READING_KEY
      ? bad('write_notes', 'missing_permission', 'org.permission.note.create is not among its roles')
      : well('write_notes', 'notes can be written'),
  ];
}
