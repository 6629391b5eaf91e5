/** The API on the log and the metrics: one line for each request that changes something or fails, all in the figures. */
import type { ApiObserver } from '../../api/ports.ts';
import type { Logger, Metrics } from '../telemetry.ts';

export function createApiObserver({
  logger,
  metrics,
}: {
  readonly logger: Logger;
  readonly metrics: Metrics;
}): ApiObserver {
  return {
    failed: (err, at) => logger.error({ event: 'api.failed', err, ...at }, 'a request of the API failed'),
    answered: ({ durationMs, ...facts }) => {
      const { route, status, method } = facts;
      metrics.add('cnk_api_requests_total', 1, { route, status: String(status) });
      metrics.observe('cnk_api_request_seconds', durationMs / 1000, { route });
      // Whoever has no token writes no log.
      const isStranger = status === 401 || (status === 429 && facts.keyId === null);
      const level = (method === 'GET' && status < 500) || isStranger ? 'debug' : 'info';
      logger[level]({ event: 'api.answered', ...facts, durationMs: Math.round(durationMs) }, `${route} ${status}`);
    },
  };
}
