/** A stream of server-sent events over a list that grows: begins behind a cursor, and can be made to break anywhere. */
import type { ServerResponse } from 'node:http';
import { matchesGlob } from './fake-http.ts';
import type { Json } from './fixtures.ts';

type Query = Readonly<Record<string, string>>;

export class FakeStream {
  readonly entries: Json[] = [];
  readonly #open = new Map<ServerResponse, Query>();

  /** Connections that are open now. */
  get open(): number {
    return this.#open.size;
  }

  serve(query: Query, lastEventId: string | undefined, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'req_test0001' });
    response.write(': keep-alive\n\n');
    const from = this.#begin(lastEventId === undefined ? query : { ...query, cursor: lastEventId });
    for (const entry of this.entries.slice(from)) this.#write(response, query, entry);
    if (query['follow'] === 'false') return void response.end();
    this.#open.set(response, query);
    response.on('close', () => this.#open.delete(response));
  }

  publish(entry: Json): void {
    this.entries.push(entry);
    for (const [response, query] of this.#open) this.#write(response, query, entry);
  }

  /** Breaks every connection, each in the middle of an event. */
  cut(): void {
    for (const response of this.#open.keys()) {
      response.write('id: cur_half\nevent: envelope\ndata: {"id":"ev_ha');
      response.socket?.destroy();
    }
    this.#open.clear();
  }

  /** Ends every connection in order. */
  end(): void {
    for (const response of this.#open.keys()) response.end();
    this.#open.clear();
  }

  /** Says the last entry again, as a server may that restarts from an older place. */
  repeat(): void {
    const last = this.entries.at(-1);
    if (last !== undefined) for (const [response, query] of this.#open) this.#write(response, query, last);
  }

  #begin({ cursor, since }: Query): number {
    if (cursor !== undefined) return this.entries.findIndex((entry) => entry['cursor'] === cursor) + 1;
    if (since === undefined) return this.entries.length;
    const at = this.entries.findIndex((entry) => Date.parse(String(entry['observed_at'])) >= Date.parse(since));
    return at === -1 ? this.entries.length : at;
  }

  #write(response: ServerResponse, query: Query, entry: Json): void {
    const { source, event_type: glob } = query;
    if (source !== undefined && entry['source'] !== source) return;
    if (glob !== undefined && !matchesGlob(glob, String(entry['event_type']))) return;
    const lines = JSON.stringify(entry, null, 1).split('\n');
    const data = lines.map((line) => `data: ${line}`).join('\r\n');
    response.write(`id: ${entry['cursor']}\r\nevent: envelope\r\n${data}\r\n\r\n`);
  }
}
