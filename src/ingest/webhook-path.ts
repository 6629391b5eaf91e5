/** Below it stands the id of the connection. */
export const WEBHOOK_PATH = '/webhooks/kustomer/';
