import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Scope } from '../../schemas/scope.ts'
import type { EventDraft, LoggedEvent } from './envelope.ts'

/** Identifies a document within a scope. */
export interface DocumentKey { service: string, id: string }

/** The state of a locked document in the batch's transaction, after the writes of earlier intents of the batch. */
export interface DocumentState extends DocumentKey {
  revision: number
  /** Do not modify it: a write creates a new value. */
  data: Record<string, unknown>
  /** `data` as JSON text. */
  dataText: string
  deleted: boolean
  expiresAt: number | null
  createdAt: number
  updatedAt: number
}

/** A place in a replication stream: the LSN of a commit, and the number of changes already passed in it. */
export interface StreamPlace { commitLsn: string, changeIndex: number }

/** A step of a reader of a replication stream. It commits together with the events that it causes, or not at all. */
export interface PositionStep {
  connectionId: string
  /** The fence of the lease under which the stream is read. A step with an older fence is refused. */
  fence: number
  /** The required stored position, so that no step passes over one that failed. */
  from: StreamPlace
  to: StreamPlace
  /** The LSN up to which the stream may be acknowledged after the step. */
  confirmedLsn: string
}

export interface Statement { name: string, text: string, values: unknown[] }

export interface Effects {
  /** Events in order. Each gets the next offset of its topic. */
  events: EventDraft[]
  /** More statements for the same transaction. */
  also?: Statement[]
  /** The new state of the intent's document. Its service is created if it does not exist. */
  document?: DocumentState
}

/** The amounts that a write adds to what the quotas of its application limit. */
export interface Charge {
  /** The events that it publishes. */
  events: number
  /** The documents that it creates. */
  documents?: number
  /** Whether it is allowed although the application stores too much, because it deletes something. */
  isDeletion?: boolean
}

export interface Batch {
  /** The time of the transaction, read once, in epoch milliseconds. */
  now: number
  /** Returns whether the topic is registered in the intent's scope, as of this transaction. Only for `topics`. */
  isRegistered (topic: string): boolean
  /** Returns whether payloads of the topic are checked against a schema. Only for `topics`. */
  hasSchema (topic: string): boolean
  /**
   * Checks a payload against the topic's active schema as of this transaction, and returns that version, or null if
   * none is active. Throws ValidationError with paths below `path`. Only for `topics`.
   */
  check (topic: string, payload: unknown, path: string): number | null
}

/**
 * A write of one producer. It may share a batch with others and settles on its own: a PublicError thrown by `apply`
 * refuses this intent alone.
 */
export interface Intent<Answer> {
  scope: Scope
  /** The document that the intent reads or writes. It is locked before `apply`. */
  document?: DocumentKey
  /**
   * The step to take before `apply`. If `apply` then throws, the transaction fails, so that no change is lost. A step
   * from a wrong position or fence is refused with ConflictError `CDC_POSITION_LOST`.
   */
  position?: PositionStep
  /** Every topic that `apply` may write to or look up, registered or reserved. */
  topics: readonly string[]
  /** The approximate memory of the intent, for the limit of the queue: the length of its JSON texts. */
  bytes?: number
  /**
   * The quotas of the application are checked for this before the intent is queued. An intent without a charge is
   * never refused for a quota; its events count towards the rate.
   */
  charge?: Charge
  /**
   * A key and a SHA-256 fingerprint of the request. A second intent with the same key and fingerprint has no effect and
   * gets the answer of the first.
   */
  idempotency?: { key: string, fingerprint: Buffer, given?: string } | undefined
  /** Computes the effects in memory, without side effects. Called again if the transaction is tried again. */
  apply (batch: Batch, document: DocumentState | undefined): Effects
  /** Returns the answer once the effects are committed. With `idempotency`, it must survive JSON. */
  answer (events: LoggedEvent[], document: DocumentState | undefined): Answer
}

/** Accepts the intents of producers. The promise resolves after COMMIT, or rejects with the refusal. */
export interface Writer {
  /**
   * Rejects with QuotaExceededError, with ServiceUnavailableError `QUEUE_FULL` or `DATABASE_UNAVAILABLE`, with
   * ConflictError `IDEMPOTENCY_KEY_REUSED`, or with the error that the intent's `apply` threw.
   */
  submit<Answer> (intent: Intent<Answer>): Promise<Answer>
}

/**
 * Returns the SHA-256 of an operation, its target and its body. The order of the body's members does not matter
 * (RFC 8785).
 */
export function fingerprint (operation: string, target: string, body: unknown): Buffer {
  return createHash('sha256').update(canonicalize([operation, target, body]) ?? '').digest()
}

/** An `Idempotency-Key` with its owner. Equal keys of different principals are different keys. */
export interface OwnKey { readonly owner: string, readonly key: string }

/**
 * Returns the `idempotency` of an intent whose caller gave an `Idempotency-Key`, otherwise undefined. A key is valid
 * for one owner and one operation.
 */
export function idempotencyFor (
  own: OwnKey | undefined, operation: string, target: string, body: unknown
): Intent<unknown>['idempotency'] {
  if (own === undefined) return undefined
  const name = createHash('sha256').update(JSON.stringify([operation, own.owner, own.key])).digest('base64url')
  return { key: name, given: own.key, fingerprint: fingerprint(operation, target, body) }
}
