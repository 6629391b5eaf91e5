/**
 * The life of one survey as `satisfactionLevel` of a conversation shows it: offered → rated → commented. Only the last
 * two are answers; one answer can make several updates. The legacy `satisfaction` number stays at its default 0.
 */
import { type Attributes, isoTime } from './resource.ts';

export interface SurveyOffer {
  readonly formId: string;
  readonly responseId: string;
  readonly channel: string;
  readonly sentBy: string | null;
  readonly sentByTeams: readonly string[];
}

export interface SurveyRating {
  readonly score: 0 | 1;
  /** 0–10 */
  readonly rating: number;
}

export function offeredSurvey(offer: SurveyOffer, nowMs: number): Attributes {
  const at = isoTime(nowMs);
  return {
    sentByTeams: offer.sentByTeams,
    answers: [],
    form: offer.formId,
    formResponse: offer.responseId,
    status: 'offered',
    channel: offer.channel,
    ...(offer.sentBy === null ? {} : { sentBy: offer.sentBy }),
    sentAt: at,
    createdAt: at,
    updatedAt: at,
  };
}

/** Null when no survey has been offered. */
export function ratedSurvey(level: Attributes, rating: SurveyRating, nowMs: number): Attributes | null {
  if (level['status'] === undefined) return null;
  const at = isoTime(nowMs);
  return {
    ...level,
    status: 'rated',
    score: rating.score,
    rating: rating.rating,
    ...(level['firstAnswer'] === undefined ? { firstAnswer: at } : {}),
    updatedAt: at,
  };
}

/** Null when the survey has not been rated. */
export function commentedSurvey(level: Attributes, comment: string, nowMs: number): Attributes | null {
  if (level['status'] !== 'rated' && level['status'] !== 'commented') return null;
  return { ...level, status: 'commented', answers: [{ name: 'comment', value: comment }], updatedAt: isoTime(nowMs) };
}
