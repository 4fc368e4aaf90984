import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Scope } from '../../schemas/scope.ts'
import type { EventDraft, LoggedEvent } from './envelope.ts'

/** Names one document within a scope. */
export interface DocumentKey { service: string, id: string }

/**
 * A document as it stands in the batch's transaction: locked, and with the writes of earlier intents of the batch
 * applied.
 */
export interface DocumentState extends DocumentKey {
  revision: number
  /** Treat as frozen: a write makes a new value. */
  data: Record<string, unknown>
  /** `data` as JSON text. */
  dataText: string
  deleted: boolean
  expiresAt: number | null
  createdAt: number
  updatedAt: number
}

/** A place in a replication stream: the LSN of a transaction's commit, and how many of its changes are behind. */
export interface StreamPlace { commitLsn: string, changeIndex: number }

/** A step of a reader of a replication stream, which commits with the events that it causes, or not at all. */
export interface PositionStep {
  connectionId: string
  /** Of the lease under which the stream is read: who holds an older one has no say any more. */
  fence: number
  /** Where the stored position has to be: a step is never taken over one that failed. */
  from: StreamPlace
  to: StreamPlace
  /** Up to where the stream may be acknowledged from then on. */
  confirmedLsn: string
}

export interface Statement { name: string, text: string, values: unknown[] }

export interface Effects {
  /** In order; each gets the next offset of its topic. */
  events: EventDraft[]
  /** More to be written in the same transaction. */
  also?: Statement[]
  /** The new state of the touched document. Its service is created when it does not exist. */
  document?: DocumentState
}

export interface Batch {
  /** The transaction's one clock reading, epoch milliseconds. */
  now: number
  /** Whether the intent's scope has registered the topic, as of this transaction. Only for names listed in `topics`. */
  isRegistered (topic: string): boolean
  /** Whether payloads of the topic are checked against a schema. Only for names listed in `topics`. */
  hasSchema (topic: string): boolean
  /**
   * Checks a payload against the topic's active schema as of this transaction, and answers that version (null: none is
   * active). Throws ValidationError with every error's path below `path`. Only for names listed in `topics`.
   */
  check (topic: string, payload: unknown, path: string): number | null
}

/**
 * One producer's wish, settled on its own within the batch that it happens to share.
 * A PublicError thrown by `apply` refuses this intent alone.
 */
export interface Intent<Answer> {
  scope: Scope
  /** The document it reads or writes, locked before `apply`. */
  document?: DocumentKey
  /**
   * The step is taken before `apply`, whose throwing then fails the transaction rather than lose what the step passes.
   * Refused with ConflictError `CDC_POSITION_LOST`.
   */
  position?: PositionStep
  /** Every topic that `apply` may write to or ask about: registered or reserved. */
  topics: readonly string[]
  /** Roughly what it keeps in memory, for the queue's bound: the length of its JSON texts. */
  bytes?: number
  /**
   * A key with a fingerprint of the request (SHA-256): a second intent with both gets the first one's answer, without
   * effect.
   */
  idempotency?: { key: string, fingerprint: Buffer, given?: string } | undefined
  /** Pure: computes the effects in memory; may be called again when the transaction is retried. */
  apply (batch: Batch, document: DocumentState | undefined): Effects
  /** Makes the answer once the effects are committed. With `idempotency`, it must survive JSON. */
  answer (events: LoggedEvent[], document: DocumentState | undefined): Answer
}

/** Where producers hand in intents. The promise settles after COMMIT, or with the refusal. */
export interface Writer {
  /**
   * Throws (rejects with) ServiceUnavailableError `QUEUE_FULL` or `DATABASE_UNAVAILABLE`, ConflictError
   * `IDEMPOTENCY_KEY_REUSED`, or what the intent's `apply` threw.
   */
  submit<Answer> (intent: Intent<Answer>): Promise<Answer>
}

/**
 * Names a request: the same operation on the same thing with the same body has the same SHA-256, in whatever order its
 * members stand (RFC 8785).
 */
export function fingerprint (operation: string, target: string, body: unknown): Buffer {
  return createHash('sha256').update(canonicalize([operation, target, body]) ?? '').digest()
}

/** An `Idempotency-Key` and whose it is: the keys of one principal do not meet those of another. */
export interface OwnKey { readonly owner: string, readonly key: string }

/**
 * What an intent carries when its caller gave an `Idempotency-Key`; nothing is computed for those who did not. A key
 * counts for its owner and the operation.
 */
export function idempotencyFor (
  own: OwnKey | undefined, operation: string, target: string, body: unknown
): Intent<unknown>['idempotency'] {
  if (own === undefined) return undefined
  const name = createHash('sha256').update(JSON.stringify([operation, own.owner, own.key])).digest('base64url')
  return { key: name, given: own.key, fingerprint: fingerprint(operation, target, body) }
}
