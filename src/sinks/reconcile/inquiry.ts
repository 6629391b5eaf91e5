/**
 * The reads of one plan, or of one reading back, as a fold: what was seen so far, what to ask next, what the answer added.
 * Pure; whoever makes the calls holds nothing but the inquiry.
 *
 * Q1 Every read is asked once, with as many pages as its list has (MAX_PAGES at most).
 * Q2 A failed read ends the inquiry with what it means; nothing is concluded from the reads before it.
 * Q3 Absence is told with the time at which the first read began: what came later, it may have missed.
 */
import type { WriteCommand } from '../../fibric/commands/command.ts';
import type { Page } from '../../kustomer/client/documents.ts';
import type { Failure, Outcome } from '../../kustomer/client/outcome.ts';
import type { PlanContext, PlanStep, ReadBackContext, Sights, VendorRead, VendorRequest } from '../actions/action.ts';
import { planAction, readBackAction } from '../actions/index.ts';
import { see } from '../actions/sights.ts';
import type { ReadResult } from '../lifecycle/outcome.ts';

type Command = Pick<WriteCommand, 'capability' | 'args'>;

export interface Inquiry {
  readonly startedAtMs: number;
  readonly seen: Sights;
}

/** One call to make: the request, or the link to a further page of its list. */
export interface Ask {
  readonly do: 'ask';
  readonly read: VendorRead;
  readonly request: VendorRequest;
  readonly link: string | null;
  readonly pages: readonly Page[];
}

/** `remembered`: what the lane still knows from its last write. */
export function newInquiry(startedAtMs: number, remembered: Sights = new Map()): Inquiry {
  return { startedAtMs, seen: remembered };
}

export type Heard =
  | { readonly kind: 'inquiry'; readonly inquiry: Inquiry }
  | { readonly kind: 'ask'; readonly ask: Ask }
  | { readonly kind: 'failure'; readonly failure: Failure };

/** What the answer to an ask adds. */
export function hear(inquiry: Inquiry, ask: Ask, outcome: Outcome<unknown>): Heard {
  const heard = see(ask.read, outcome, ask.pages);
  if (heard.kind === 'failure') return heard;
  if (heard.kind === 'next_page') return { kind: 'ask', ask: { ...ask, link: heard.link, pages: heard.pages } };
  return { kind: 'inquiry', inquiry: { ...inquiry, seen: new Map(inquiry.seen).set(ask.read.name, heard.sight) } };
}

export function planNext(
  command: Command,
  inquiry: Inquiry,
  context: Omit<PlanContext, 'seen'>,
): Ask | Exclude<PlanStep, { readonly do: 'read' }> {
  const step = planAction(command, { ...context, seen: inquiry.seen });
  return step.do === 'read' ? askOf(step.read) : step;
}

export interface Told {
  readonly do: 'tell';
  readonly result: ReadResult;
  /** Why it is unclear or cannot be read; for the log. */
  readonly why: string | null;
}

export function readBackNext(command: Command, inquiry: Inquiry, context: Omit<ReadBackContext, 'seen'>): Ask | Told {
  const step = readBackAction(command, { ...context, seen: inquiry.seen });
  if (step.do === 'read') return askOf(step.read);
  const { finding } = step;
  switch (finding.kind) {
    case 'found':
      return { do: 'tell', result: { kind: 'found', vendorId: finding.vendorId }, why: null };
    case 'absent':
      return { do: 'tell', result: { kind: 'absent', startedAtMs: inquiry.startedAtMs }, why: null };
    case 'unclear':
      return { do: 'tell', result: { kind: 'unclear', retryAtMs: null }, why: finding.why };
    case 'unreadable':
      return { do: 'tell', result: { kind: 'unreadable', message: finding.why }, why: finding.why };
  }
}

/** What a failed read means for reading back: whether to try again, or that nobody but a person can tell. */
export function readBackFailed({ kind, message, retryAtMs }: Failure): Told {
  const isFinal = kind === 'permission' || kind === 'config' || kind === 'refuse';
  return {
    do: 'tell',
    result: isFinal ? { kind: 'unreadable', message } : { kind: 'unclear', retryAtMs },
    why: message,
  };
}

function askOf(read: VendorRead): Ask {
  return { do: 'ask', read, request: read.request, link: null, pages: [] };
}
