import type pg from 'pg'
import type { TopicFact } from './facts.ts'
import type { Intent } from './intent.ts'
import type { KnownTopics } from './known-topics.ts'
import type { Outcome } from './outcome.ts'
import * as statements from './statements.ts'
import { topicKey, type TopicKey } from './topic-key.ts'
import type { PayloadCheck, TopicCheck } from './payload-check.ts'

/** The registered topics of the batch by scope and name, with their active schema if they have one. */
export type RegisteredTopics = Map<string, ActiveSchema | null>
export interface ActiveSchema { version: number, check: TopicCheck }

export interface TopicsParts { client: pg.PoolClient, check: PayloadCheck, knownTopics: KnownTopics }

/** Reads the registered ones of the intents' topics, and prepares the checks of their active schemas. */
export async function readTopics (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[], { client, check, knownTopics }: TopicsParts
): Promise<RegisteredTopics> {
  const wanted = new Map<string, TopicKey>()
  for (const [i, intent] of intents.entries()) {
    if (outcomes[i] !== undefined) continue
    for (const topic of intent.topics) wanted.set(topicKey(intent.scope, topic), { scope: intent.scope, topic })
  }
  if (wanted.size === 0) return new Map()
  const keys = [...wanted.values()]
  const { rows } = await client.query<{ ordinal: number, active_schema_version: number | null }>(
    statements.readTopics(keys)
  )
  const facts = new Map<string, TopicFact>()
  for (const [key, topic] of wanted) facts.set(key, { ...topic, isRegistered: false, version: null })
  for (const row of rows) {
    const topic = keys[row.ordinal - 1] as TopicKey
    facts.set(topicKey(topic.scope, topic.topic), { ...topic, isRegistered: true, version: row.active_schema_version })
  }
  knownTopics.remember(facts)
  return await prepareTopics(facts, check)
}

/** Returns the registered ones of the topics, with the prepared checks of their active schemas. */
export async function prepareTopics (
  facts: ReadonlyMap<string, TopicFact>, check: PayloadCheck
): Promise<RegisteredTopics> {
  const topics: RegisteredTopics = new Map()
  for (const [key, { scope, topic, isRegistered, version }] of facts) {
    if (!isRegistered) continue
    topics.set(key, version === null ? null : { version, check: await check.prepare(scope, topic, version) })
  }
  return topics
}
