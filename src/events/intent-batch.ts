import { ValidationError } from '../errors.ts'
import type { Batch, Intent } from './intent.ts'
import type { CheckedPayload } from './outcome.ts'
import type { CheckBudget, PayloadCheck } from './payload-check.ts'
import type { ActiveSchema, RegisteredTopics } from './registered-topics.ts'
import { topicKey } from './topic-key.ts'

/** The view of the batch that is passed to one intent. */
export class IntentBatch implements Batch {
  readonly now: number
  /** The payload that is being checked, or that failed its check. */
  checking: CheckedPayload | undefined
  /** The topics whose schemas refused a payload, one for each payload. */
  readonly violated: string[] = []
  readonly #intent: Intent<unknown>
  readonly #topics: RegisteredTopics
  readonly #check: PayloadCheck
  #budget: CheckBudget | undefined
  #last: { topic: string, schema: ActiveSchema | null | undefined } | undefined

  constructor (intent: Intent<unknown>, topics: RegisteredTopics, now: number, check: PayloadCheck) {
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
    try {
      schema.check(payload, path, budget)
    } catch (error) {
      if (error instanceof ValidationError && error.code === 'SCHEMA_VIOLATED') this.violated.push(topic)
      throw error
    }
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
