/** `node test/support/fibric/write-doc.ts`: writes the sessions in docs/fibric.md as they go now. A test demands it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { renderSessions } from './doc-sessions.ts';

const path = new URL('../../../docs/fibric.md', import.meta.url).pathname;
writeFileSync(path, await renderSessions(readFileSync(path, 'utf8')));
