/** The API of the tests, for one test. */
import { onTestFinished } from 'vitest';
import { type FakeApi, openFakeApi } from './fake-api.ts';

export async function startFakeApi(): Promise<FakeApi> {
  const api = await openFakeApi();
  onTestFinished(() => api.close());
  return api;
}
