import type { EventDraft } from '../../events/envelope.ts'
import { SubscriptionIndex } from './subscription-index.ts'
import { parseFilter, type Filter } from './filter.ts'
import { TopicPatterns } from '../../foundation/topic-pattern.ts'
import type { EventType } from '../../../schemas/events.ts'
import type { Environment, Scope } from '../../../schemas/scope.ts'

/** The stored selection of a webhook: the events that it is for. */
export interface ListeningRow {
  id: string
  events: string[]
  topics: string[] | null
  filter: string | null
  environments: Environment[] | null
}

/** A webhook's selection, condition by condition. An event is for the webhook if every condition holds. */
export class Listening {
  readonly id: string
  readonly filter: Filter | undefined
  readonly #types: ReadonlySet<string>
  readonly #environments: ReadonlySet<Environment> | undefined
  readonly #topics: TopicPatterns

  constructor (row: ListeningRow) {
    this.id = row.id
    this.filter = row.filter === null ? undefined : parseFilter(JSON.parse(row.filter) as Record<string, unknown>)
    this.#types = new Set(row.events.includes('*') ? ['*'] : row.events)
    this.#environments = row.environments === null ? undefined : new Set(row.environments)
    this.#topics = row.topics === null ? TopicPatterns.all : new TopicPatterns(row.topics)
  }

  /** The event types, or only `*` if that is one of them. */
  get types (): Iterable<string> { return this.#types }

  lists (type: EventType): boolean { return this.#types.has('*') || this.#types.has(type) }
  isOf (environment: Environment): boolean { return this.#environments?.has(environment) ?? true }
  takesIn (topic: string): boolean { return this.#topics.covers(topic) }
}

/**
 * Indexes the active webhooks of one application by event type, and their filters like those of subscriptions. An
 * event's cost grows with the webhooks that match, not with those that exist.
 */
export class EndpointIndex {
  readonly #byType = new Map<string, SubscriptionIndex<Listening>>()

  constructor (rows: readonly ListeningRow[]) {
    for (const row of rows) {
      const listening = new Listening(row)
      for (const type of listening.types) {
        let index = this.#byType.get(type)
        if (index === undefined) this.#byType.set(type, index = new SubscriptionIndex())
        index.add(listening)
      }
    }
  }

  get isEmpty (): boolean { return this.#byType.size === 0 }

  /** Calls `visit` with the id of each webhook that the event is for. */
  match (scope: Scope, draft: EventDraft, visit: (webhookId: string) => void): void {
    const event = new DraftValue(draft)
    for (const type of [draft.type, '*']) {
      for (const listening of this.#byType.get(type)?.matching(event) ?? []) {
        if (listening.isOf(scope.environment) && listening.takesIn(draft.topic)) visit(listening.id)
      }
    }
  }

  /** Returns whether some webhook would receive such an event if its payload passed the webhook's filter. */
  wants (scope: Scope, type: EventType, topic: string): boolean {
    return [type, '*'].some(name => {
      for (const listening of this.#byType.get(name)?.all() ?? []) {
        if (listening.isOf(scope.environment) && listening.takesIn(topic)) return true
      }
      return false
    })
  }
}

/** Parses a payload when a filter first reads it. */
class DraftValue {
  readonly #draft: EventDraft
  #parsed: unknown

  constructor (draft: EventDraft) {
    this.#draft = draft
  }

  get value (): unknown {
    this.#parsed ??= JSON.parse(this.#draft.payload)
    return this.#parsed
  }
}
