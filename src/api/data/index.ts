/** Events, receipts, actions, approvals and reads: everything of the API that reads or writes the log itself. */
import type { ActionsPort } from '../ports.ts';
import type { Route } from '../route.ts';
import { actionRoutes } from './action-routes.ts';
import { Actions } from './actions.ts';
import { eventRoutes, eventShelf } from './events.ts';
import type { DataPorts } from './ports.ts';
import { readRoutes } from './read.ts';
import { receiptRoutes, receiptShelf } from './receipts.ts';
import { streamRoutes } from './stream-routes.ts';
import { TopicViews, type TopicViewsOptions } from './topic/views.ts';
import { waitingRoutes } from './waiting.ts';

export type { DataPorts } from './ports.ts';

export interface DataPart {
  readonly routes: readonly Route[];
  readonly actions: ActionsPort;
  /** Topics that are open for reading, and what is kept of them in memory. */
  recent(): { readonly openTopics: number; readonly bytes: number; readonly maxBytes: number };
  /** After the server: ends every follow. */
  close(): Promise<void>;
}

export interface DataOptions
  extends Partial<Pick<TopicViewsOptions, 'maxOpen' | 'idleMs' | 'checkMs' | 'maxBytes' | 'settings'>> {
  /** How many of the newest receipts a search for one looks at. */
  readonly findRecords?: number;
}

export function openData(ports: DataPorts, { findRecords, ...options }: DataOptions = {}): DataPart {
  const { log, observer } = ports;
  const failed = (topic: string, error: unknown): void => observer.followFailed(topic, error);
  const views = new TopicViews({ log, failed, ...options });
  const events = eventShelf(ports, views);
  const receipts = receiptShelf(ports, views, findRecords);
  const actions = new Actions({ ...ports, receipts });
  return {
    routes: [
      // Before the routes with an id.
      ...streamRoutes({ ...ports, events, receipts }),
      ...eventRoutes(events),
      ...receiptRoutes(receipts, ports),
      ...actionRoutes(actions, ports),
      ...waitingRoutes({ ...ports, receipts }),
      ...readRoutes(ports),
    ],
    actions,
    recent: () => ({ openTopics: views.openCount, bytes: views.bytes, maxBytes: views.maxBytes }),
    close: () => views.close(),
  };
}
