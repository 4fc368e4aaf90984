import { answerIntents, applyIntents } from './apply-intents.ts'
import { batchTextMax } from './batch-errors.ts'
import type { BatchParts, BatchResult } from './batch-parts.ts'
import { recallAnswers, rememberAnswers } from './idempotency-keys.ts'
import type { Intent } from './intent.ts'
import { lockDocuments } from './locked-documents.ts'
import type { Outcome } from './outcome.ts'
import { takeSteps } from './positions.ts'
import { confirmFacts, recallFacts } from './recalled-facts.ts'
import { prepareTopics, readTopics } from './registered-topics.ts'
import * as statements from './statements.ts'
import { WritePlan } from './write-plan.ts'
import { writeSet } from './write-set.ts'

/**
 * Commits a batch of intents in one transaction. Either commits every intent that is not refused, or throws and commits
 * nothing. Two intents of a batch never have the same idempotency key; `WriteLane` guarantees this.
 */
export async function commitBatch (intents: readonly Intent<unknown>[], parts: BatchParts): Promise<BatchResult> {
  const { client, now, check } = parts
  const hasKeys = intents.some(intent => intent.idempotency !== undefined)
  const hasPositions = intents.some(intent => intent.position !== undefined)
  const isTransaction = hasKeys || hasPositions || intents.some(intent => intent.document !== undefined)
  // The statement that writes compares what is recalled. A batch with keys or positions has other writes as well.
  const recalled = parts.mayRecall && !hasKeys && !hasPositions ? recallFacts(intents, parts) : undefined
  const outcomes = new Array<Outcome | undefined>(intents.length)
  // The connection pipelines statements: a statement that needs no earlier result is sent without waiting.
  const begun = isTransaction ? client.query('begin') : undefined
  if (hasKeys) await Promise.all([begun, recallAnswers(intents, outcomes, client, now)])
  if (hasPositions) await Promise.all([begun, takeSteps(intents, outcomes, client)])
  const [documents, topics, recipients] = await Promise.all([
    lockDocuments(intents, outcomes, client),
    recalled === undefined ? readTopics(intents, outcomes, parts) : prepareTopics(recalled.topics, check),
    recalled === undefined ? findRecipients(intents, outcomes, parts) : recalled.recipients,
    begun
  ])

  const plan = new WritePlan(now, intents.length > 1 ? batchTextMax : Infinity)
  const effects = await applyIntents(intents, outcomes, { plan, documents, topics, check })
  const checkedMs = Date.now() - now
  // A refusal may follow from what is recalled, and there may be no write that compares it.
  if (recalled !== undefined && outcomes.some(outcome => outcome !== undefined)) await confirmFacts(recalled, client)

  const set = { ...plan.toWriteSet(documents, recipients, parts.epochOf), facts: recalled?.facts }
  const services = plan.services.filter(service => !parts.isServiceKnown(service.applicationId, service.name))
  if (services.length > 0) await client.query(statements.insertServices(services, now))
  const commit = () => isTransaction ? client.query('commit') : undefined
  // The result of the write matters to the commit only if the batch creates documents or takes keys. Otherwise the
  // commit is sent at once: PostgreSQL turns it into a rollback if the write fails, and a write with outdated facts is
  // empty.
  const mayBeStale = set.inserts.length > 0 || hasKeys
  const [events] = await Promise.all([
    plan.isEmpty ? [] : writeSet(set, client),
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
    violated: plan.violated,
    isOwed: set.owed.length > 0
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
