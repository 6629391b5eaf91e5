/** What happens in an organisation without the API: things only people or the vendor's own machinery do. */
import { z } from 'zod';
import { objectId } from './api/fields.ts';
import { liveIn } from './api/route.ts';
import { mergeConversations } from './model/removals.ts';
import type { Org } from './org.ts';

export const changeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('offer_survey'), conversation: objectId, channel: z.string().default('email') }),
  z.strictObject({
    kind: z.literal('rate_survey'),
    conversation: objectId,
    rating: z.int().min(0).max(10),
    score: z.literal([0, 1]),
  }),
  z.strictObject({ kind: z.literal('comment_survey'), conversation: objectId, comment: z.string().min(1) }),
  z.strictObject({ kind: z.literal('merge_conversations'), source: objectId, target: objectId }),
]);

export type Change = z.infer<typeof changeSchema>;

const PERSON = { userId: null, client: 'web' } as const;
const SURVEY_FORM_ID = '5e0c3d2f1a2b3c4d5e6f7a8b';

/** The conversation as it is afterwards. */
export function applyChange(org: Org, change: Change, nowMs: number): unknown {
  const { conversations } = org.organisation;
  // First what the clock has done meanwhile: the objects below are values.
  org.settle(nowMs);
  if (change.kind === 'merge_conversations') {
    const source = liveIn(conversations, change.source);
    const target = liveIn(conversations, change.target);
    org.perform(nowMs, (organisation) => {
      const events = mergeConversations(organisation, nowMs, source, target, PERSON);
      return org.behaviour.mergeEmits ? events : [];
    });
    return conversations.get(source.id);
  }
  const { id } = liveIn(conversations, change.conversation);
  org.perform(nowMs, (organisation) => {
    switch (change.kind) {
      case 'offer_survey':
        return organisation.offerSurvey(nowMs, id, {
          formId: SURVEY_FORM_ID,
          channel: change.channel,
          sentBy: null,
          sentByTeams: [],
        });
      case 'rate_survey':
        return organisation.rateSurvey(nowMs, id, { rating: change.rating, score: change.score });
      case 'comment_survey':
        return organisation.commentSurvey(nowMs, id, change.comment);
      default:
        return change satisfies never;
    }
  });
  return conversations.get(id);
}
