/**
 * A tiny Kustomer for the plan: rows with revisions, each visible some time after it was made, and the search over what is
 * visible. Nothing of the simulator's: what proves the plan must not share its ideas of how search works.
 */
import type { PageQuery } from '../../../../src/ingest/poll/query.ts';
import type { Row } from '../../../../src/ingest/poll/streams.ts';
import type { Answer } from '../../../../src/ingest/poll/walk.ts';

export interface Version {
  readonly id: string;
  readonly rev: number;
  readonly timeMs: number;
  readonly createdMs: number;
  readonly visibleAtMs: number;
}

export interface ModelOptions {
  readonly pageSize: number;
  readonly maxPages: number;
  readonly tellsTotal: boolean;
  /** Rows of equal keys come in another order in every search. */
  readonly shuffles: boolean;
  readonly random: () => number;
}

export class ModelServer {
  nowMs: number;
  searches = 0;
  readonly versions = new Map<string, Version[]>();
  /** Answers with its rows in the wrong order, so many times. */
  disorder = 0;
  mostDisorderedInARow = 0;
  #disorderedInARow = 0;
  readonly #options: ModelOptions;

  constructor(nowMs: number, options: ModelOptions) {
    this.nowMs = nowMs;
    this.#options = options;
  }

  write(id: string, { stampMs, lagMs, createdMs }: { stampMs: number; lagMs: number; createdMs?: number }): void {
    const versions = this.versions.get(id) ?? [];
    const before = versions.at(-1);
    const timeMs = Math.max(stampMs, (before?.timeMs ?? 0) + 1);
    versions.push({
      id,
      rev: (before?.rev ?? 0) + 1,
      timeMs,
      createdMs: before?.createdMs ?? createdMs ?? timeMs,
      visibleAtMs: Math.max(this.nowMs, timeMs + lagMs),
    });
    this.versions.set(id, versions);
  }

  /** The newest copy in the index; one that overtook its elder hides it for good. */
  visible(id: string): Version | undefined {
    return this.versions.get(id)?.findLast(({ visibleAtMs }) => visibleAtMs <= this.nowMs);
  }

  search({ body, page, pageSize }: PageQuery): Answer {
    this.searches += 1;
    if (page > this.#options.maxPages) throw new Error(`page ${page} was asked for`);
    if (pageSize > this.#options.pageSize) throw new Error(`a page of ${pageSize} was asked for`);
    const [sort = {}] = body.sort;
    const [[sortField, order] = ['', 'asc']] = Object.entries(sort);
    const { random, shuffles } = this.#options;
    const found = [...this.versions.keys()]
      .flatMap((id) => this.visible(id) ?? [])
      .filter((version) => body.and.every((filter) => matches(version, filter)))
      .map((version) => ({ version, draw: shuffles ? random() : 0 }))
      .sort(
        (a, b) =>
          (timeIn(a.version, sortField) - timeIn(b.version, sortField)) * (order === 'desc' ? -1 : 1) ||
          a.draw - b.draw ||
          (a.version.id < b.version.id ? -1 : 1),
      )
      .map(({ version }) => version);
    const rows = found.slice((page - 1) * pageSize, page * pageSize).map(rowOf);
    if (this.disorder > 0 && rows.length > 1) {
      this.disorder -= 1;
      this.#disorderedInARow += 1;
      this.mostDisorderedInARow = Math.max(this.mostDisorderedInARow, this.#disorderedInARow);
      rows.reverse();
    } else this.#disorderedInARow = 0;
    // No two things happen in the same moment, or the tests could not tell which came first.
    this.nowMs += 1;
    return {
      rows,
      unreadable: 0,
      more: found.length > page * pageSize && page < this.#options.maxPages + 1,
      total: this.#options.tellsTotal ? found.length : null,
    };
  }
}

function rowOf({ id, rev, timeMs, createdMs }: Version): Row {
  return { id, rev, timeMs, createdMs, resource: null };
}

function timeIn(version: Version, field: string): number {
  return field.endsWith('_created_at') ? version.createdMs : version.timeMs;
}

function matches(version: Version, filter: Readonly<Record<string, Readonly<Record<string, unknown>>>>): boolean {
  return Object.entries(filter).every(([field, condition]) =>
    Object.entries(condition).every(([operator, text]) => {
      const value = timeIn(version, field);
      const bound = Date.parse(String(text));
      if (operator === 'gte') return value >= bound;
      if (operator === 'lte') return value <= bound;
      throw new Error(`the model knows no ${operator}`);
    }),
  );
}
