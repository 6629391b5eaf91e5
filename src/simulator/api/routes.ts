/** Everything the simulated API answers. A resource is a file; this is where it joins. */
import { conversationRoutes } from './conversations.ts';
import { customerRoutes } from './customers.ts';
import { identityRoutes } from './identity.ts';
import { messageRoutes } from './messages.ts';
import { outboundWebhookRoutes } from './outbound-webhooks.ts';
import type { Route } from './route.ts';
import { staffRoutes } from './staff.ts';

export const ROUTES: readonly Route[] = [
  ...identityRoutes,
  ...conversationRoutes,
  ...messageRoutes,
  ...customerRoutes,
  ...staffRoutes,
  ...outboundWebhookRoutes,
];
