/** Values that several routes take. */
import { z } from 'zod';
import { CONNECTOR_TEST } from '../fibric/policy/grants.ts';

/** A connection, by its id or its name. */
export const connectionRef = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/, 'is no id or name of a connection');

export const connectionName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/, 'is a letter or digit, then up to 99 of a-z A-Z 0-9 . _ -');

/** The form policies and grants take; commands take a little more, which could never be granted anything. */
export const operatorName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/, "is no operator's name (1 to 100 of A-Z a-z 0-9 . _ : -)");

export const RESERVED_OPERATOR = `is reserved: it is who tries a connector (\`fibric connectors test\`)`;

/** Of those who can be granted something, and act. */
export const ordinaryOperator = operatorName.refine((name) => name !== CONNECTOR_TEST, RESERVED_OPERATOR);
