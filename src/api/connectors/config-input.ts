/** The configuration of a connector as it was sent: its parameters and nothing else, least of all a credential. Pure. */
import { ApiError, type ApiProblem } from '../errors.ts';
import { CONFIG_PARAMETERS } from '../listing.ts';
import { summary } from '../validate.ts';

export type ConfigInput = Readonly<Record<string, string | boolean | null>>;

const CREDENTIAL_NAME =
  /^(?:api[_-]?key|key|token|secret|password|passwd|pwd|auth(?:orization)?|bearer|credentials?|jwt|(?:.*[_-])?(?:api[_-]?key|token|secret|password))$/i;
/** Three parts of base64url: what Kustomer's keys are. Nothing that belongs into a configuration looks like it. */
const TOKEN_VALUE = /^(?:Bearer\s+)?eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*$|^sk_(?:live|test)_/;

/** Throws `credential_in_config` or `config_invalid`, naming every parameter that is wrong and never its value. */
export function checkConfig(config: Readonly<Record<string, unknown>>): ConfigInput {
  const entries = Object.entries(config);
  const credentials = entries.filter(([name, value]) => CREDENTIAL_NAME.test(name) || looksSecret(value));
  if (credentials.length > 0) {
    const names = credentials.map(([name]) => shortened(name)).join(', ');
    throw new ApiError(
      'credential_in_config',
      `config holds what looks like a credential (${names}). Configuration is kept readable, so a key never goes there: send it as api_key, or type it when the command asks. If this one was real, revoke it in Kustomer: it may stand in your shell's history`,
      { problems: credentials.map(([name]) => problem(name, 'credential', 'looks like a credential')) },
    );
  }
  const problems = entries.flatMap(([name, value]): ApiProblem[] => {
    const known = CONFIG_PARAMETERS.find((parameter) => parameter.name === name);
    if (known === undefined) return [problem(name, 'unknown_field', `is no parameter; there are ${NAMES}`)];
    if (value === null && !known.required) return [];
    const type: string = typeof value;
    return type === known.type ? [] : [problem(name, 'invalid_type', `is a ${known.type}`)];
  });
  if (problems.length > 0) throw new ApiError('config_invalid', summary(problems), { problems });
  return config as ConfigInput;
}

const NAMES = CONFIG_PARAMETERS.map(({ name }) => name).join(', ');

function looksSecret(value: unknown): boolean {
  return typeof value === 'string' && TOKEN_VALUE.test(value.trim());
}

function problem(name: string, code: string, message: string): ApiProblem {
  return { field: `config.${shortened(name)}`, code, message };
}

/** A name may itself be what should not be repeated. */
function shortened(name: string): string {
  return name.length > 40 ? `${name.slice(0, 12)}…` : name;
}
