import { setImmediate } from 'node:timers/promises'
import type pg from 'pg'
import { toPublicError } from '../errors.ts'
import type { EventRouting } from './event-routing.ts'
import { LoggedEvent } from './envelope.ts'
import type { EpochOf } from './epochs.ts'
import type { DocumentState, Intent } from './intent.ts'
import type { Outcome } from './outcome.ts'
import { takeSteps } from './positions.ts'
import * as statements from './statements.ts'
import { batchTextMax, BatchTooLargeError, StaleBatchError } from './batch-errors.ts'
import { recallAnswers, rememberAnswers } from './idempotency-keys.ts'
import { IntentBatch } from './intent-batch.ts'
import { lockDocuments, type LockedDocuments } from './locked-documents.ts'
import type { PayloadCheck } from './payload-check.ts'
import { readTopics, type RegisteredTopics } from './registered-topics.ts'
import { WritePlan, type PlannedEffects } from './write-plan.ts'

/** The batch yields to the event loop between two intents after it has applied intents for this long. */
const breathMs = 8

export interface BatchResult {
  /** The time of the batch in epoch milliseconds. */
  startedAt: number
  outcomes: Outcome[]
  /** The committed events, ascending in each topic. Events of an intent are adjacent, in the order of the intents. */
  events: LoggedEvent[]
  /** The number of events of each intent. */
  counts: number[]
  /** The time at which all payloads were checked, in milliseconds since `startedAt`. */
  checkedMs: number
  services: { applicationId: string, name: string }[]
  /** Whether some of the events are owed to webhooks. */
  isOwed: boolean
}

export interface BatchParts {
  client: pg.PoolClient
  check: PayloadCheck
  routing: EventRouting
  epochOf: EpochOf
  now: number
  isServiceKnown (applicationId: string, name: string): boolean
}

/**
 * Commits a batch of intents in one transaction. Either commits every intent that is not refused, or throws and commits
 * nothing. Two intents of a batch never have the same idempotency key; `WriteLane` guarantees this.
 */
export async function commitBatch (intents: readonly Intent<unknown>[], parts: BatchParts): Promise<BatchResult> {
  const { client, now, check } = parts
  const isTransaction = intents.some(intent =>
    intent.document !== undefined || intent.idempotency !== undefined || intent.position !== undefined
  )
  const hasKeys = intents.some(intent => intent.idempotency !== undefined)
  const outcomes = new Array<Outcome | undefined>(intents.length)
  // The connection pipelines statements: a statement that needs no earlier result is sent without waiting.
  const begun = isTransaction ? client.query('begin') : undefined
  if (hasKeys) await Promise.all([begun, recallAnswers(intents, outcomes, client, now)])
  if (intents.some(intent => intent.position !== undefined)) {
    await Promise.all([begun, takeSteps(intents, outcomes, client)])
  }
  const [documents, topics, recipients] = await Promise.all([
    lockDocuments(intents, outcomes, client),
    readTopics(intents, outcomes, client, check),
    findRecipients(intents, outcomes, parts),
    begun
  ])

  const plan = new WritePlan(now, intents.length > 1 ? batchTextMax : Infinity)
  const effects = await applyIntents(intents, outcomes, { plan, documents, topics, check })
  const checkedMs = Date.now() - now

  const set = plan.toWriteSet(documents, recipients, parts.epochOf)
  const services = plan.services.filter(service => !parts.isServiceKnown(service.applicationId, service.name))
  if (services.length > 0) await client.query(statements.insertServices(services, now))
  const commit = () => isTransaction ? client.query('commit') : undefined
  // The result of the write can invalidate the batch only if the batch creates documents or takes keys. Otherwise the
  // commit is sent at once; PostgreSQL turns it into a rollback if the write fails.
  const mayBeStale = set.inserts.length > 0 || hasKeys
  const [events] = await Promise.all([
    plan.isEmpty ? [] : write(set, client),
    ...plan.also.map(statement => client.query(statement)),
    mayBeStale ? undefined : commit()
  ])

  answerIntents(intents, effects, events, outcomes)
  if (hasKeys) await rememberAnswers(intents, effects, outcomes as Outcome[], client, now)
  if (mayBeStale) await commit()
  return {
    startedAt: now,
    outcomes: outcomes as Outcome[],
    events,
    counts: effects.map(effect => effect?.eventCount ?? 0),
    checkedMs,
    services,
    isOwed: set.owed.length > 0
  }
}

interface Workspace {
  plan: WritePlan
  documents: LockedDocuments
  topics: RegisteredTopics
  check: PayloadCheck
}

/** Applies the intents without an outcome in order. Returns the effects of each, or undefined if it has none. */
async function applyIntents (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], workspace: Workspace
): Promise<(PlannedEffects | undefined)[]> {
  const effects: (PlannedEffects | undefined)[] = []
  let since = performance.now()
  for (const [i, intent] of intents.entries()) {
    effects.push(outcomes[i] === undefined ? applyIntent(intent, i, outcomes, workspace) : undefined)
    if (performance.now() - since < breathMs) continue
    await setImmediate()
    since = performance.now()
  }
  return effects
}

/** Applies one intent, or sets its outcome to a refusal. Throws if the whole batch has to be rolled back. */
function applyIntent (
  intent: Intent<unknown>, i: number, outcomes: (Outcome | undefined)[],
  { plan, documents, topics, check }: Workspace
): PlannedEffects | undefined {
  const batch = new IntentBatch(intent, topics, plan.now, check)
  try {
    return plan.apply(intent, batch, documents)
  } catch (error) {
    if (intent.position !== undefined || error instanceof BatchTooLargeError) throw error
    outcomes[i] = { refusal: toPublicError(error), checked: batch.checking }
    return undefined
  }
}

function answerIntents (
  intents: readonly Intent<unknown>[], effects: readonly (PlannedEffects | undefined)[], events: LoggedEvent[],
  outcomes: (Outcome | undefined)[]
): void {
  for (const [i, effect] of effects.entries()) {
    if (effect === undefined) continue
    const own = events.slice(effect.firstEvent, effect.firstEvent + effect.eventCount)
    outcomes[i] = answerOf(intents[i] as Intent<unknown>, own, effect.document)
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

function findRecipients (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], { client, routing }: BatchParts
) {
  const applicationIds = new Set<string>()
  for (const [i, intent] of intents.entries()) {
    if (outcomes[i] === undefined) applicationIds.add(intent.scope.applicationId)
  }
  return applicationIds.size === 0 ? undefined : routing.prepare(applicationIds, client)
}

async function write (set: statements.WriteSet, client: pg.PoolClient): Promise<LoggedEvent[]> {
  const { rows } = await client.query<statements.WrittenLog>(statements.write(set))
  if (set.inserts.length > 0 && (rows[0]?.inserted ?? 0) !== set.inserts.length) {
    throw new StaleBatchError('a document was created meanwhile')
  }
  const heads = new Array<statements.WrittenLog>(set.logs.length)
  for (const row of rows) heads[row.ordinal - 1] = row
  return set.events.map(({ draft, id, log, back }) => {
    const { head_offset: head, epoch, head_at: timestamp } = heads[log] as statements.WrittenLog
    const { scope } = set.logs[log] as statements.LogGrowth
    return new LoggedEvent(scope, draft, { id, offset: head - back, epoch, timestamp })
  })
}
