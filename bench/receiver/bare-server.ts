/** The ceiling as a process: verifies the HMAC over the raw body, answers 200, stores nothing. env: PORT */
import { VARIANTS } from './variants.ts';

const server = await VARIANTS['bare']?.();
server?.listen(Number(process.env['PORT']), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
