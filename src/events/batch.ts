import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import { ConflictError, toPublicError } from '../errors.ts'
import { eventIdIn, newRun } from '../foundation/ids.ts'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import type { Consequences, Recipients } from './event-routing.ts'
import { LoggedEvent, type EventDraft } from './envelope.ts'
import type { EpochOf } from './epochs.ts'
import type { Batch, DocumentKey, DocumentState, Intent, Statement } from './intent.ts'
import { idempotencyKeptMs } from './retention.ts'
import type { CheckedPayload, Outcome } from './outcome.ts'
import { takeSteps } from './positions.ts'
import * as statements from './statements.ts'

/** The work left for the checks of one payload, or of all payloads of a request. Only the schema stage reads it. */
export interface CheckBudget { left: number }

/** The schema stage: checks payloads against the active version of their topic. */
export interface PayloadCheck {
  createBudget (): CheckBudget
  /**
   * Returns the check for a topic with an active version, and loads it if it is not in memory. Called once a batch for
   * each such topic; the batch keeps the result until it ends.
   */
  prepare (scope: Scope, topic: string, version: number): TopicCheck | Promise<TopicCheck>
}

/** Throws ValidationError if the payload is invalid, with paths below `path`, or if the budget is spent. */
export type TopicCheck = (payload: unknown, path: string, budget: CheckBudget) => void

/** The batch yields to the event loop between two intents after it has applied intents for this long. */
const breathMs = 8

/** Thrown when another node has changed rows that this batch has read. The batch is tried again. */
export class StaleBatchError extends Error {}

/** Thrown when a batch of several intents would hold too much in memory. It is tried again in parts. */
export class BatchTooLargeError extends Error {}

/**
 * Limits the text of a batch's large documents, and that of its events, in bytes and characters. A batch of one intent
 * has no such limit.
 */
const batchTextMax = 16 * 1024 * 1024

export interface BatchResult {
  outcomes: Outcome[]
  /** The committed events, ascending in each topic. Events of an intent are adjacent, in the order of the intents. */
  events: LoggedEvent[]
  /** The number of events of each intent. */
  counts: number[]
  /** The time at which all payloads were checked, in milliseconds since the batch's `now`. */
  checkedMs: number
  services: { applicationId: string, name: string }[]
  /** Whether some of the events are owed to webhooks. */
  isOwed: boolean
}

export interface BatchParts {
  client: pg.PoolClient
  check: PayloadCheck
  consequences: Consequences
  epochOf: EpochOf
  now: number
  isServiceKnown (applicationId: string, name: string): boolean
}

/**
 * Commits a batch of intents in one transaction. Either commits every intent that is not refused, or throws and commits
 * nothing. Two intents of a batch never have the same idempotency key; `Lane` guarantees this.
 */
export async function commitBatch (intents: readonly Intent<unknown>[], parts: BatchParts): Promise<BatchResult> {
  const { client, now } = parts
  const isTransaction = intents.some(intent =>
    intent.document !== undefined || intent.idempotency !== undefined || intent.position !== undefined
  )
  const hasKeys = intents.some(intent => intent.idempotency !== undefined)
  const outcomes = new Array<Outcome | undefined>(intents.length)
  // The connection pipelines statements: a statement that needs no earlier result is sent without waiting.
  const begun = isTransaction ? client.query('begin') : undefined
  if (hasKeys) await Promise.all([begun, recallAnswers(intents, parts, outcomes)])
  if (intents.some(intent => intent.position !== undefined)) {
    await Promise.all([begun, takeSteps(intents, outcomes, client)])
  }
  const [documents, topics, recipients] = await Promise.all([
    lockDocuments(intents, outcomes, client),
    readTopics(intents, outcomes, parts),
    findRecipients(intents, outcomes, parts),
    begun
  ])

  const plan = new WritePlan(now, intents.length > 1 ? batchTextMax : Infinity)
  const effects: PlannedEffects[] = []
  let since = performance.now()
  for (const [i, intent] of intents.entries()) {
    effects.push(outcomes[i] === undefined ? effectsOf(intent, i) : undefined)
    if (performance.now() - since < breathMs) continue
    await setImmediate()
    since = performance.now()
  }

  function effectsOf (intent: Intent<unknown>, i: number): PlannedEffects {
    const batch = new IntentBatch(intent, topics, now, parts.check)
    try {
      return plan.apply(intent, batch, documents)
    } catch (error) {
      if (intent.position !== undefined || error instanceof BatchTooLargeError) throw error
      outcomes[i] = { refusal: toPublicError(error), checked: batch.checking }
      return undefined
    }
  }
  const checkedMs = Date.now() - now

  const set = plan.toWriteSet(documents, recipients, parts.epochOf)
  const services = plan.services.filter(service => !parts.isServiceKnown(service.applicationId, service.name))
  if (services.length > 0) await client.query(statements.insertServices(services, now))
  const commit = () => isTransaction ? client.query('commit') : undefined
  // The result of the write can invalidate the batch only if the batch creates documents or takes keys. Otherwise the
  // commit is sent at once; PostgreSQL turns it into a rollback if the write fails.
  const mayBeStale = set.inserts.length > 0 || hasKeys
  const [events] = await Promise.all([
    plan.isEmpty ? [] : write(set, plan, client),
    ...plan.also.map(statement => client.query(statement)),
    mayBeStale ? undefined : commit()
  ])

  for (const [i, effect] of effects.entries()) {
    if (effect === undefined) continue
    const own = events.slice(effect.firstEvent, effect.firstEvent + effect.eventCount)
    outcomes[i] = answerOf(intents[i] as Intent<unknown>, own, effect.document)
  }
  if (hasKeys) await rememberAnswers(intents, effects, outcomes as Outcome[], parts)
  if (mayBeStale) await commit()
  return {
    outcomes: outcomes as Outcome[],
    events,
    counts: effects.map(effect => effect?.eventCount ?? 0),
    checkedMs,
    services,
    isOwed: set.owed.length > 0
  }
}

/** Returns the answer of an intent. Never throws: a failed batch is tried again, but its effects may be committed. */
function answerOf (intent: Intent<unknown>, events: LoggedEvent[], document: DocumentState | undefined): Outcome {
  try {
    return { answer: intent.answer(events, document) }
  } catch (error) {
    return { refusal: toPublicError(error) }
  }
}

async function recallAnswers (
  intents: readonly Intent<unknown>[], { client, now }: BatchParts, outcomes: (Outcome | undefined)[]
) {
  const asked = intents.flatMap((intent, i) =>
    intent.idempotency === undefined ? [] : [{ i, scope: intent.scope, ...intent.idempotency }]
  )
  if (asked.length === 0) return
  const { rows } = await client.query<{ ordinal: number, fingerprint: Buffer, answer: string }>(
    statements.readIdempotencyKeys(asked, now - idempotencyKeptMs))
  for (const row of rows) {
    const { i, key, given = key, fingerprint } = asked[row.ordinal - 1] as typeof asked[number]
    outcomes[i] = row.fingerprint.equals(fingerprint)
      ? { answer: JSON.parse(row.answer) }
      : {
          refusal: new ConflictError(
            'IDEMPOTENCY_KEY_REUSED',
            `The idempotency key was used for another request: ${given}. Send the same body, or use a new key`
          )
        }
  }
}

type PlannedEffects = { firstEvent: number, eventCount: number, document: DocumentState | undefined } | undefined

async function rememberAnswers (
  intents: readonly Intent<unknown>[], effects: PlannedEffects[], outcomes: Outcome[], { client, now }: BatchParts
) {
  const keys = intents.flatMap((intent, i) => {
    const outcome = outcomes[i]
    if (intent.idempotency === undefined || effects[i] === undefined) return []
    if (outcome === undefined || !('answer' in outcome)) return []
    return [{ scope: intent.scope, ...intent.idempotency, answer: JSON.stringify(outcome.answer) }]
  })
  if (keys.length === 0) return
  const { rowCount } = await client.query(statements.insertIdempotencyKeys(keys, now, now - idempotencyKeptMs))
  if (rowCount !== keys.length) throw new StaleBatchError('an idempotency key was taken meanwhile')
}

const documentKey = (scope: Scope, key: DocumentKey) => `${scopeKey(scope)}/${key.service}/${key.id}`

interface LockedRow {
  application_id: string
  environment: Environment
  service: string
  id: string
  revision: number
  /** Null for a large document. */
  data: string | null
  bytes: number
  deleted: boolean
  expires_at: number | null
  created_at: number
  updated_at: number
}

interface HeldDocument { scope: Scope, state: DocumentState, exists: boolean, isDirty: boolean }

async function lockDocuments (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], client: pg.PoolClient
) {
  const wanted = new Map<string, statements.ScopedDocumentKey>()
  for (const [i, intent] of intents.entries()) {
    if (intent.document === undefined || outcomes[i] !== undefined) continue
    wanted.set(documentKey(intent.scope, intent.document), { scope: intent.scope, ...intent.document })
  }
  const held = new Map<string, HeldDocument>()
  if (wanted.size === 0) return held
  const { rows } = await client.query<LockedRow>(statements.lockDocuments([...wanted.values()]))
  const large = await readLarge(rows.filter(({ data }) => data === null), client)
  for (const row of rows) {
    const scope = scopeOf(row)
    const data = row.data ?? large?.get(row) ?? ''
    const state: DocumentState = {
      service: row.service,
      id: row.id,
      revision: row.revision,
      data: JSON.parse(data) as Record<string, unknown>,
      dataText: data,
      deleted: row.deleted,
      expiresAt: row.expires_at,
      createdAt: row.created_at,
      updatedAt: row.updated_at
    }
    held.set(documentKey(scope, state), { scope, state, exists: true, isDirty: false })
  }
  return held
}

const scopeOf = ({ application_id: applicationId, environment }: LockedRow): Scope => ({ applicationId, environment })

async function readLarge (rows: LockedRow[], client: pg.PoolClient): Promise<Map<LockedRow, string> | undefined> {
  if (rows.length === 0) return undefined
  if (rows.length > 1 && rows.reduce((sum, { bytes }) => sum + bytes, 0) > batchTextMax) {
    throw new BatchTooLargeError('the documents of the batch are too large together')
  }
  const found = await client.query<{ ordinal: number, data: string }>(
    statements.readData(rows.map(row => ({ scope: scopeOf(row), service: row.service, id: row.id })))
  )
  return new Map(found.rows.map(({ ordinal, data }) => [rows[ordinal - 1] as LockedRow, data]))
}

/** The registered topics of the batch by scope and name, with their active schema if they have one. */
type Topics = Map<string, ActiveSchema | null>
interface ActiveSchema { version: number, check: TopicCheck }
const topicKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`

async function readTopics (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], { client, check }: BatchParts
): Promise<Topics> {
  const wanted = new Map<string, statements.TopicKey>()
  for (const [i, intent] of intents.entries()) {
    if (outcomes[i] !== undefined) continue
    for (const topic of intent.topics) wanted.set(topicKey(intent.scope, topic), { scope: intent.scope, topic })
  }
  const topics: Topics = new Map()
  if (wanted.size === 0) return topics
  const keys = [...wanted.values()]
  const { rows } = await client.query<{ ordinal: number, active_schema_version: number | null }>(
    statements.readTopics(keys)
  )
  for (const row of rows) {
    const { scope, topic } = keys[row.ordinal - 1] as statements.TopicKey
    const version = row.active_schema_version
    topics.set(
      topicKey(scope, topic), version === null ? null : { version, check: await check.prepare(scope, topic, version) }
    )
  }
  return topics
}

function findRecipients (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], { client, consequences }: BatchParts
) {
  const applicationIds = new Set<string>()
  for (const [i, intent] of intents.entries()) {
    if (outcomes[i] === undefined) applicationIds.add(intent.scope.applicationId)
  }
  return applicationIds.size === 0 ? undefined : consequences.prepare(applicationIds, client)
}

/** The view of the batch that is passed to one intent. */
class IntentBatch implements Batch {
  readonly now: number
  /** The payload that is being checked, or that failed its check. */
  checking: CheckedPayload | undefined
  readonly #intent: Intent<unknown>
  readonly #topics: Topics
  readonly #check: PayloadCheck
  #budget: CheckBudget | undefined
  #last: { topic: string, schema: ActiveSchema | null | undefined } | undefined

  constructor (intent: Intent<unknown>, topics: Topics, now: number, check: PayloadCheck) {
    this.now = now
    this.#check = check
    this.#intent = intent
    this.#topics = topics
  }

  isRegistered (topic: string): boolean {
    return this.#schemaOf(topic) !== undefined
  }

  hasSchema (topic: string): boolean {
    return this.#schemaOf(topic) != null
  }

  check (topic: string, payload: unknown, path: string): number | null {
    const schema = this.#schemaOf(topic) ?? null
    if (schema === null) return null
    // The payloads of a request share a budget, since the request is refused as a whole. Each row of a stream has its
    // own: with a shared budget, a row could be lost because of the steps that other rows took.
    const budget = this.#intent.position === undefined
      ? this.#budget ??= this.#check.createBudget()
      : this.#check.createBudget()
    this.checking = { topic, schemaVersion: schema.version, payload }
    schema.check(payload, path, budget)
    this.checking = undefined
    return schema.version
  }

  /** Returns undefined for a topic that is not registered. Remembers the last topic: calls in a row often repeat it. */
  #schemaOf (topic: string): ActiveSchema | null | undefined {
    if (this.#last?.topic !== topic) {
      this.#last = { topic, schema: this.#topics.get(topicKey(this.#intent.scope, topic)) }
    }
    return this.#last.schema
  }
}

/** The number of events that a batch appends to one log. */
interface PlannedGrowth { log: string, scope: Scope, topic: string, run: string, count: number }

/** Collects the effects of a batch in the order of arrival. */
class WritePlan {
  readonly now: number
  readonly services: { applicationId: string, name: string }[] = []
  readonly also: Statement[] = []
  readonly #drafts: { scope: Scope, draft: EventDraft, id: string, log: string }[] = []
  readonly #counts = new Map<string, PlannedGrowth>()
  #last: PlannedGrowth | undefined
  #documentWrites = 0
  readonly #textMax: number
  #text = 0

  /** `textMax` limits the length of all events together. */
  constructor (now: number, textMax: number) {
    this.now = now
    this.#textMax = textMax
  }

  get isEmpty () { return this.#drafts.length === 0 && this.#documentWrites === 0 }

  apply (intent: Intent<unknown>, batch: Batch, documents: Map<string, HeldDocument>): PlannedEffects {
    const key = intent.document === undefined ? undefined : documentKey(intent.scope, intent.document)
    const held = key === undefined ? undefined : documents.get(key)
    const effects = intent.apply(batch, held?.state)
    if (effects.document !== undefined && key !== undefined) {
      documents.set(key, { scope: intent.scope, state: effects.document, exists: held?.exists ?? false, isDirty: true })
      if (held === undefined) {
        this.services.push({ applicationId: intent.scope.applicationId, name: effects.document.service })
      }
      this.#documentWrites++
    }
    const firstEvent = this.#drafts.length
    for (const draft of effects.events) this.#add(intent.scope, draft)
    if (effects.also !== undefined) this.also.push(...effects.also)
    return { firstEvent, eventCount: effects.events.length, document: effects.document ?? held?.state }
  }

  #add (scope: Scope, draft: EventDraft) {
    this.#text += draft.payload.length + (draft.diff?.length ?? 0)
    if (this.#text > this.#textMax) throw new BatchTooLargeError('the events of the batch are too large together')
    const growth = this.#growthOf(scope, draft.topic)
    this.#drafts.push({ scope, draft, id: eventIdIn(growth.run, growth.count++), log: growth.log })
  }

  /** Returns the growth of a log. Remembers the last one: adjacent events often have the same log. */
  #growthOf (scope: Scope, topic: string): PlannedGrowth {
    if (this.#last?.scope === scope && this.#last.topic === topic) return this.#last
    const log = topicKey(scope, topic)
    let growth = this.#counts.get(log)
    if (growth === undefined) this.#counts.set(log, growth = { log, scope, topic, run: newRun(), count: 0 })
    this.#last = growth
    return growth
  }

  toWriteSet (
    documents: Map<string, HeldDocument>, recipients: Recipients | undefined, epochOf: EpochOf
  ): statements.WriteSet {
    const dirty = [...documents].filter(([, held]) => held.isDirty).sort(byKey).map(([, held]) => held)
    const logs = [...this.#counts].sort(byKey)
    const indexes = new Map(logs.map(([key], index) => [key, { index, left: logs[index]?.[1].count ?? 0 }]))
    const events = this.#drafts.map(({ draft, id, log }) => {
      const place = indexes.get(log) as { index: number, left: number }
      return { draft, id, log: place.index, back: --place.left }
    })
    return {
      now: this.now,
      updates: dirty.filter(held => held.exists).map(held => ({ ...held.state, scope: held.scope })),
      inserts: dirty.filter(held => !held.exists).map(held => ({ ...held.state, scope: held.scope })),
      logs: logs.map(([, { scope, topic, count }]) => ({ scope, topic, count, epoch: epochOf(scope, topic) })),
      events,
      owed: recipients === undefined ? [] : this.#owed(events, recipients)
    }
  }

  /** Returns one row for each recipient and log, with all its events. */
  #owed (events: statements.PlacedDraft[], recipients: Recipients): statements.Owed[] {
    const owed = new Map<string, statements.Owed>()
    for (const [i, { draft, log, back }] of events.entries()) {
      const { scope } = this.#drafts[i] as { scope: Scope }
      recipients.of(scope, draft, webhookId => {
        const key = `${webhookId} ${log}`
        const known = owed.get(key)
        if (known === undefined) owed.set(key, { webhookId, log, backs: [back] })
        else known.backs.push(back)
      })
    }
    return [...owed.values()]
  }
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]) => a < b ? -1 : a > b ? 1 : 0

async function write (set: statements.WriteSet, plan: WritePlan, client: pg.PoolClient): Promise<LoggedEvent[]> {
  const { rows } = await client.query<statements.WrittenLog>(statements.write(set))
  if (set.inserts.length > 0 && (rows[0]?.inserted ?? 0) !== set.inserts.length) {
    throw new StaleBatchError('a document was created meanwhile')
  }
  const heads = new Array<statements.WrittenLog>(set.logs.length)
  for (const row of rows) heads[row.ordinal - 1] = row
  return set.events.map(({ draft, id, log, back }) => {
    const { head_offset: head, epoch } = heads[log] as statements.WrittenLog
    const { scope } = set.logs[log] as statements.LogGrowth
    return new LoggedEvent(scope, draft, { id, offset: head - back, epoch, timestamp: plan.now })
  })
}
