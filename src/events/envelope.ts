import type { EventSource, EventType, RealtimeEvent } from '../../schemas/events.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'

/** An event that an intent appends. Its JSON is already text: it is serialised once, for the log and all sockets. */
export interface EventDraft {
  topic: string
  type: EventType
  source: EventSource
  key: string | null
  /** JSON text of the payload. */
  payload: string
  /** For document events: JSON text of the payload in its `diff` form. */
  diff?: string | undefined
  /** JSON text of an object. */
  meta?: string | undefined
  schemaVersion: number | null
}

/** The fields that a draft gets with its place in the log. */
export interface StoredFields {
  id: string
  offset: number
  epoch: string
  timestamp: number
}

/**
 * One committed event. Creates its JSON, in each requested shape, and its parsed payload on first use, and shares them
 * between all subscribers.
 */
export class LoggedEvent implements EventDraft, StoredFields {
  readonly scope: Scope
  readonly id: string
  readonly topic: string
  readonly offset: number
  readonly epoch: string
  readonly type: EventType
  readonly source: EventSource
  readonly key: string | null
  readonly payload: string
  readonly diff: string | undefined
  readonly meta: string | undefined
  readonly schemaVersion: number | null
  readonly timestamp: number
  /** Sockets of this node that have got the event since `takeHanded`. */
  handed = 0
  #parsed: unknown
  #encoded: Map<string, Buffer> | undefined
  #json: Partial<Record<ReturnMode, string>> | undefined

  constructor (scope: Scope, draft: EventDraft, stored: StoredFields) {
    this.scope = scope
    this.id = stored.id
    this.topic = draft.topic
    this.offset = stored.offset
    this.epoch = stored.epoch
    this.type = draft.type
    this.source = draft.source
    this.key = draft.key
    this.payload = draft.payload
    this.diff = draft.diff
    this.meta = draft.meta
    this.schemaVersion = draft.schemaVersion
    this.timestamp = stored.timestamp
  }

  /** Returns the number of sockets that have got the event since the last call. */
  takeHanded (): number {
    const { handed } = this
    this.handed = 0
    return handed
  }

  /** The parsed payload, for filters. Do not modify it. */
  get value (): unknown {
    this.#parsed ??= JSON.parse(this.payload)
    return this.#parsed
  }

  /** Returns the shape of this event in a return mode. Only document events have shapes other than `full`. */
  shape (mode: ReturnMode): ReturnMode {
    return this.diff === undefined ? 'full' : mode
  }

  /** Returns the envelope as JSON text. `diff` and `both` differ from `full` only for document events. */
  json (mode: ReturnMode = 'full'): string {
    const shape = this.shape(mode)
    this.#json ??= {}
    this.#json[shape] ??= this.#encode(shape)
    return this.#json[shape]
  }

  /** The frames of the transports, by their own keys. Each is encoded once for all sockets; most events need none. */
  get encoded (): Map<string, Buffer> {
    this.#encoded ??= new Map()
    return this.#encoded
  }

  #draft (): EventDraft {
    const { topic, type, source, key, payload, diff, meta, schemaVersion } = this
    return { topic, type, source, key, payload, diff, meta, schemaVersion }
  }

  #encode (shape: ReturnMode): string {
    const { applicationId, environment } = this.scope
    return `{"id":"${this.id}","topic":"${this.topic}","offset":${this.offset},"epoch":"${this.epoch}",` +
      `"type":"${this.type}","source":"${this.source}","applicationId":"${applicationId}",` +
      `"environment":"${environment}",` +
      `"timestamp":${this.timestamp},"schemaVersion":${this.schemaVersion ?? 'null'},"key":${
        this.key === null ? 'null' : JSON.stringify(this.key)
      },` +
      `"payload":${this.#payload(shape)}${this.meta === undefined ? '' : `,"meta":${this.meta}`}}`
  }

  #payload (shape: ReturnMode): string {
    if (shape === 'full' || this.diff === undefined) return this.payload
    if (shape === 'diff') return this.diff
    const added = JSON.parse(this.diff) as { previousRevision: number, diff: unknown }
    return `${this.payload.slice(0, -1)},"previousRevision":${added.previousRevision},"diff":${
      JSON.stringify(added.diff)
    }}`
  }

  /** Returns a copy of the event with more members in `meta`. */
  withMeta (more: Record<string, unknown>): LoggedEvent {
    const meta = JSON.stringify({ ...(this.meta === undefined ? {} : JSON.parse(this.meta) as object), ...more })
    return new LoggedEvent(this.scope, { ...this.#draft(), meta }, this)
  }

  toEvent (): RealtimeEvent {
    return JSON.parse(this.json()) as RealtimeEvent
  }
}
