import type pg from 'pg'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Intent } from './intent.ts'
import type { Outcome } from './outcome.ts'
import * as statements from './statements.ts'
import type { PayloadCheck, TopicCheck } from './payload-check.ts'

/** The registered topics of the batch by scope and name, with their active schema if they have one. */
export type RegisteredTopics = Map<string, ActiveSchema | null>
export interface ActiveSchema { version: number, check: TopicCheck }
export const topicKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`

/** Reads the registered ones of the intents' topics, and prepares the checks of their active schemas. */
export async function readTopics (
  intents: readonly Intent<unknown>[], outcomes: (Outcome | undefined)[],
  client: pg.PoolClient, check: PayloadCheck
): Promise<RegisteredTopics> {
  const wanted = new Map<string, statements.TopicKey>()
  for (const [i, intent] of intents.entries()) {
    if (outcomes[i] !== undefined) continue
    for (const topic of intent.topics) wanted.set(topicKey(intent.scope, topic), { scope: intent.scope, topic })
  }
  const topics: RegisteredTopics = new Map()
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
