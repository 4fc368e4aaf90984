import type { EventDraft } from '../events/envelope.ts'
import { Matcher } from '../delivery/matcher.ts'
import { parseFilter, type Filter } from '../delivery/filters.ts'
import { TopicPatterns } from '../auth/topic-patterns.ts'
import type { EventType } from '../../schemas/events.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'

/** What a webhook listens to, as it is stored. */
export interface ListeningRow {
  id: string
  events: string[]
  topics: string[] | null
  filter: string | null
  environments: Environment[] | null
}

interface Listening {
  readonly id: string
  readonly environments: ReadonlySet<Environment> | undefined
  readonly topics: TopicPatterns
  readonly filter: Filter | undefined
}

/**
 * The active webhooks of one application, by the types of event that they fire for, with filters indexed as those of
 * subscriptions: an event's cost grows with the webhooks that match, not with those that exist.
 */
export class EndpointMatch {
  readonly #byType = new Map<string, Matcher<Listening>>()

  constructor (rows: readonly ListeningRow[]) {
    for (const row of rows) {
      const listening: Listening = {
        id: row.id,
        environments: row.environments === null ? undefined : new Set(row.environments),
        topics: row.topics === null ? TopicPatterns.all : new TopicPatterns(row.topics),
        filter: row.filter === null ? undefined : parseFilter(JSON.parse(row.filter) as Record<string, unknown>)
      }
      for (const type of row.events.includes('*') ? ['*'] : row.events) {
        let matcher = this.#byType.get(type)
        if (matcher === undefined) this.#byType.set(type, matcher = new Matcher())
        matcher.add(listening)
      }
    }
  }

  get isEmpty (): boolean { return this.#byType.size === 0 }

  /** Calls `visit` with the id of each webhook that the event is for. */
  match (scope: Scope, draft: EventDraft, visit: (webhookId: string) => void): void {
    const event = new DraftValue(draft)
    for (const type of [draft.type, '*']) {
      this.#byType.get(type)?.match(event, ({ id, environments, topics }) => {
        if (isOf(environments, scope) && topics.covers(draft.topic)) visit(id)
      })
    }
  }

  /** Whether some webhook would be told of such an event, were its payload to its liking. */
  wants (scope: Scope, type: EventType, topic: string): boolean {
    return [type, '*'].some(name => {
      for (const { environments, topics } of this.#byType.get(name)?.all() ?? []) if (isOf(environments, scope) && topics.covers(topic)) return true
      return false
    })
  }
}

const isOf = (environments: ReadonlySet<Environment> | undefined, { environment }: Scope) => environments?.has(environment) ?? true

/** A payload that is parsed when a filter asks for it. */
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
