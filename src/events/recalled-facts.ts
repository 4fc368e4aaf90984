import type pg from 'pg'
import { StaleBatchError } from './batch-errors.ts'
import type { BatchParts } from './batch-parts.ts'
import type { Recipients } from './event-routing.ts'
import { compareFacts, type Facts, type TopicFact } from './facts.ts'
import type { Intent } from './intent.ts'

/** The topics and webhooks of a batch as this node last read them, and the facts that the write has to compare. */
export interface RecalledFacts {
  topics: ReadonlyMap<string, TopicFact>
  recipients: Recipients | undefined
  facts: Facts
}

/** Recalls what a batch would read, apart from documents. Returns undefined if this node does not know all of it. */
export function recallFacts (
  intents: readonly Intent<unknown>[], { knownTopics, routing }: BatchParts
): RecalledFacts | undefined {
  const topics = knownTopics.recall(intents)
  if (topics === undefined) return undefined
  const recalled = routing.recall(new Set(intents.map(({ scope }) => scope.applicationId)))
  return recalled === undefined
    ? undefined
    : { topics, recipients: recalled.recipients, facts: { topics: [...topics.values()], routing: recalled.facts } }
}

/** Throws StaleBatchError if the facts are not those of the database any more. */
export async function confirmFacts ({ facts }: RecalledFacts, client: pg.PoolClient): Promise<void> {
  const { rowCount } = await client.query(compareFacts(facts))
  if (rowCount === 0) throw new StaleBatchError('a topic or webhook has changed meanwhile')
}
