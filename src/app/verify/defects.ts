/** What can be wrong, and a bounded collection of it: every defect is counted, the first few of each kind are kept. */

export const DEFECTS = {
  missing: 'an accepted change has no envelope',
  doubled: 'an expected envelope stands more than once',
  event_id_reused: 'two different envelopes carry the same event_id',
  wrong_content: 'an envelope differs from what the change says, or from the shape of an envelope',
  wrong_topic: "an envelope stands on another tenant's topic",
  out_of_order: 'a lower revision follows a higher one of its resource without being flagged late',
  late_unfounded: 'an envelope is flagged late though no higher revision precedes it',
  unexpected: 'an envelope that no change in the manifest explains',
  undecodable: 'a record that is no Avro envelope',
  dead_letter: 'a change ended as a dead letter',
  manifest_conflict: 'the manifest expects different things of the same change',
} as const;

export type DefectKind = keyof typeof DEFECTS;

export interface Defect {
  readonly kind: DefectKind;
  /** Topic, partition and offset, where there is a record. */
  readonly where: string | null;
  /** Tenant, resource, revision and event type, as far as known. */
  readonly subject: string;
  readonly detail: string;
}

export const SAMPLES_PER_KIND = 20;

export class DefectList {
  readonly counts: Record<DefectKind, number>;
  readonly samples: Defect[] = [];

  constructor() {
    const kinds = Object.keys(DEFECTS) as DefectKind[];
    this.counts = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<DefectKind, number>;
  }

  add(defect: Defect): void {
    this.counts[defect.kind] += 1;
    if (this.counts[defect.kind] <= SAMPLES_PER_KIND) this.samples.push(defect);
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}
