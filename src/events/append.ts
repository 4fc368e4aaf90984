import { answerIntents, applyIntents } from './apply-intents.ts'
import { batchTextMax } from './batch-errors.ts'
import type { BatchParts, BatchResult } from './batch-parts.ts'
import type { Intent } from './intent.ts'
import type { Outcome } from './outcome.ts'
import { prepareTopics } from './registered-topics.ts'
import * as statements from './statements.ts'
import { writeSet } from './write-set.ts'
import { WritePlan } from './write-plan.ts'

/** Whether an intent locks nothing, so that one statement can commit it. */
export const isAppend = (intent: Intent<unknown>): boolean =>
  intent.document === undefined && intent.idempotency === undefined && intent.position === undefined

/**
 * Commits intents that lock nothing in one statement, on the basis of topics and webhooks as this node last read them:
 * the statement compares them with the database and writes nothing if they have changed. Returns undefined, and has
 * written nothing, if they have changed or if this node does not know them.
 */
export async function append (
  intents: readonly Intent<unknown>[], parts: BatchParts
): Promise<BatchResult | undefined> {
  const { client, now, check, knownTopics, routing } = parts
  const known = knownTopics.recall(intents)
  const recalled = routing.recall(new Set(intents.map(({ scope }) => scope.applicationId)))
  if (known === undefined || recalled === undefined) return undefined
  const facts: statements.Facts = { topics: [...known.values()], routing: recalled.facts }

  const outcomes = new Array<Outcome | undefined>(intents.length)
  const plan = new WritePlan(now, intents.length > 1 ? batchTextMax : Infinity)
  const topics = await prepareTopics(known, check)
  const effects = await applyIntents(intents, outcomes, { plan, documents: new Map(), topics, check })
  const checkedMs = Date.now() - now
  if (plan.also.length > 0) return undefined
  // The write compares the facts. If an intent is refused, there may be no write, so they are compared before.
  const isRefusing = outcomes.some(outcome => outcome !== undefined)
  if (isRefusing && (await client.query(statements.compareFacts(facts))).rowCount === 0) return undefined

  const set = { ...plan.toWriteSet(new Map(), recalled.recipients, parts.epochOf), facts }
  const events = plan.isEmpty ? [] : await writeSet(set, client)
  if (events === undefined) return undefined
  answerIntents(intents, effects, events, outcomes)
  return {
    startedAt: now,
    outcomes: outcomes as Outcome[],
    events,
    counts: effects.map(effect => effect?.eventCount ?? 0),
    checkedMs,
    services: [],
    isOwed: set.owed.length > 0
  }
}
