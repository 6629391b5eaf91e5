/** What the routes of events, receipts, actions, approvals and reads are given; see ../ports.ts. */
import type { ErrorCode } from '../../base/errors.ts';
import type { WireCommand } from '../../fibric/commands/command.ts';
import type { WireReceipt } from '../../fibric/commands/receipt-fields.ts';
import type { Connection } from '../../fibric/connection.ts';
import type { Grants } from '../../fibric/policy/grants.ts';
import type { Log } from '../../kafka/port.ts';
import type { TenantCaller } from '../caller.ts';

/** An envelope as its record has it: ten fields, `payload` still under the name of its branch. */
export interface StoredEnvelope {
  readonly event_id: string;
  readonly source: string;
  readonly event_type: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/** A tenant's topic, and how its records are read. */
export interface TopicPort<T> {
  topic(tenantId: string): string;
  /** Throws `message_undecodable`, or what passes (`registry_unavailable`). */
  decode(value: Buffer): Promise<T>;
}

export interface CommandsPort {
  /** Creates the topic of the tenant's receipts where there is none: a receipt is waited for before its command is sent. */
  ensureReceipts(tenantId: string): Promise<void>;
  /** Resolves when the broker has it for good. Key = the lane. */
  publish(command: WireCommand, key: string): Promise<void>;
}

/** A command that waits for a person. */
export interface WaitingCommand {
  /** `apr_…` or `prk_…`. */
  readonly id: string;
  readonly kind: 'held' | 'parked';
  readonly receiptId: string;
  readonly commandId: string;
  readonly connectionId: string;
  readonly capability: string;
  readonly entityKey: string;
  readonly idempotencyKey: string;
  readonly policy: {
    readonly name: string | null;
    readonly version: number | null;
    readonly rule: string | null;
    readonly tier: number | null;
  };
  readonly sinceMs: number;
  readonly expiresAtMs: number | null;
  /** Null where the command cannot be read. */
  readonly command: {
    readonly args: Readonly<Record<string, unknown>>;
    readonly operator: string;
    readonly connection: string;
    readonly mode: string;
    readonly requestedAt: string;
    readonly correlationId: string;
    readonly eventId: string | null;
  } | null;
}

export interface Answered {
  readonly answer: 'approve' | 'reject' | 'applied' | 'not_applied';
  readonly by: string;
  readonly note: string | null;
  readonly vendorId: string | null;
  readonly nowMs: number;
  /** With `not_applied`: the id under which the command is sent again; null = it is not. */
  readonly resendAs: string | null;
}

export interface WaitingPort {
  /** Those that have waited longest first. Throws `unavailable` before everything was read that there is. */
  list(tenantId: string): readonly WaitingCommand[];
  get(tenantId: string, id: string): WaitingCommand | undefined;
  /** After each change of what waits of a tenant. Returns how to stop. */
  onChange(listener: (tenantId: string) => void): () => void;
  /** Resolves when the broker has the answer; what comes of it shows in the list and in a receipt. */
  answer(tenantId: string, id: string, answered: Answered): Promise<void>;
}

export interface ConversationView {
  readonly conversation: Readonly<Record<string, unknown>>;
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  /** False: Kustomer has more messages than these. */
  readonly messagesComplete: boolean;
}

export interface CustomerView {
  readonly customer: Readonly<Record<string, unknown>>;
  readonly orders: readonly Readonly<Record<string, unknown>>[] | null;
  /** complete | truncated | forbidden | unavailable | skipped */
  readonly ordersState: string;
  readonly contacts: readonly Readonly<Record<string, unknown>>[];
  readonly contactsComplete: boolean;
}

export interface VendorRefusal {
  readonly code: ErrorCode;
  readonly status: number | null;
  /** Without secrets. */
  readonly message: string;
  readonly retryAtMs: number | null;
}

export type VendorRead<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: VendorRefusal };

export interface ReadPort {
  conversation(connection: Connection, id: string, signal: AbortSignal): Promise<VendorRead<ConversationView>>;
  customer(connection: Connection, id: string, signal: AbortSignal): Promise<VendorRead<CustomerView>>;
}

/** Each call must return at once. */
export interface DataObserver {
  /** Left out of a list or a stream, which says so nowhere else. */
  undecodable(facts: {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly error: unknown;
  }): void;
  /** A follow failed and is begun again. */
  followFailed(topic: string, error: unknown): void;
}

export interface DataPorts {
  readonly log: Log;
  /** Random bytes: ids are made of them. */
  readonly random: (bytes: number) => Buffer;
  readonly events: TopicPort<StoredEnvelope>;
  readonly receipts: TopicPort<WireReceipt>;
  readonly commands: CommandsPort;
  readonly waiting: WaitingPort;
  readonly read: ReadPort;
  readonly connections: {
    list(tenantId: string): readonly Connection[];
    /** Of this tenant, by id or name. */
    find(tenantId: string, ref: string): Connection | undefined;
  };
  readonly grants: { of(connection: Connection): Grants };
  /** False once the token behind it is revoked or expired: its streams end. */
  readonly isLive: (caller: TenantCaller, nowMs: number) => boolean;
  readonly observer: DataObserver;
}
