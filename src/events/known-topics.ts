import { LRUCache } from 'lru-cache'
import type { Intent } from './intent.ts'
import { topicKey } from './topic-key.ts'
import type { TopicFact } from './facts.ts'

const topicsMax = 20_000

/**
 * Remembers topics as they were last read. They may have changed since, so a caller has to compare them with
 * the database (facts.ts).
 */
export class KnownTopics {
  readonly #facts = new LRUCache<string, TopicFact>({ max: topicsMax })

  remember (facts: ReadonlyMap<string, TopicFact>): void {
    for (const [key, fact] of facts) this.#facts.set(key, fact)
  }

  /** Returns the topics of the intents by `topicKey`, or undefined if one is not known. */
  recall (intents: readonly Intent<unknown>[]): Map<string, TopicFact> | undefined {
    const recalled = new Map<string, TopicFact>()
    for (const { scope, topics } of intents) {
      for (const topic of topics) {
        const key = topicKey(scope, topic)
        const fact = recalled.get(key) ?? this.#facts.get(key)
        if (fact === undefined) return undefined
        recalled.set(key, fact)
      }
    }
    return recalled
  }
}
