/** Cites the invariants of company.ts (E1 to E3). */
import { describe, expect, it } from 'vitest';
import { Company } from '../../../../src/sinks/quota/company.ts';

const IN_A_HURRY = { isPatient: false };
const PATIENT = { isPatient: true };
const [MOMENT_MS, LONG_MS] = [2, 20];

function setUp() {
  const seen = { goes: 0 };
  const company = new Company(() => {
    seen.goes += 1;
  });
  return { seen, company };
}

describe('an append waits for company', () => {
  it('E1: a moment, where a call waits for it', () => {
    const { company, seen } = setUp();
    company.came(PATIENT);
    company.came(IN_A_HURRY);
    expect(company.waitMs()).toBe(MOMENT_MS);
    company.came(IN_A_HURRY);
    company.hurry();
    expect(seen.goes, 'that moment is not cut short').toBe(0);
    company.went(IN_A_HURRY);
    expect(company.waitMs()).toBe(MOMENT_MS);
    company.went(IN_A_HURRY);
    expect(company.waitMs(), 'of those a call waits for there is none any more').toBe(LONG_MS);
  });

  it('E2: longer in a crowd, which no hurry ends, and a moment again when it has gone', () => {
    const { company, seen } = setUp();
    for (let waiter = 0; waiter < 64; waiter++) company.came(waiter % 2 === 0 ? PATIENT : IN_A_HURRY);
    expect(company.waitMs()).toBe(LONG_MS);
    company.hurry();
    company.came(IN_A_HURRY);
    expect(seen.goes).toBe(0);
    for (let waiter = 0; waiter < 2; waiter++) company.went(PATIENT);
    expect(company.waitMs()).toBe(MOMENT_MS);
  });

  it('E3: until a call waits, where none did: for what waits already, or for what comes', () => {
    for (const begins of ['hurry', 'comes']) {
      const { company, seen } = setUp();
      company.came(PATIENT);
      expect(company.waitMs()).toBe(LONG_MS);
      company.came(PATIENT);
      expect(seen.goes).toBe(0);
      if (begins === 'hurry') company.hurry();
      else company.came(IN_A_HURRY);
      expect(seen.goes).toBe(1);
      company.hurry();
      expect(seen.goes, 'once').toBe(1);
    }
  });
});
