/** Everything the simulated API answers. A resource is a file; this is where it joins. */
import { conversationRoutes } from './conversations.ts';
import { customerRoutes } from './customers.ts';
import { identityRoutes } from './identity.ts';
import { klassRoutes } from './klasses.ts';
import { mergeRoutes } from './merges.ts';
import { messageRoutes } from './messages.ts';
import { noteRoutes } from './notes.ts';
import { outboundWebhookRoutes } from './outbound-webhooks.ts';
import type { Route } from './route.ts';
import { searchRoutes } from './search.ts';
import { staffRoutes } from './staff.ts';
import { surveyRoutes } from './surveys.ts';
import { tagRoutes } from './tags.ts';

export const ROUTES: readonly Route[] = [
  ...identityRoutes,
  ...conversationRoutes,
  ...tagRoutes,
  ...noteRoutes,
  ...messageRoutes,
  ...customerRoutes,
  ...mergeRoutes,
  ...searchRoutes,
  ...klassRoutes,
  ...surveyRoutes,
  ...staffRoutes,
  ...outboundWebhookRoutes,
];
