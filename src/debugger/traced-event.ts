import type { TraceStatus, TraceSummary } from '../../schemas/debugger.ts'
import type { Scope } from '../../schemas/scope.ts'
import { eventIdIn } from '../foundation/ids.ts'
import { at, type PartDetail, type RefusalDetail, type RunDetail } from './tracing/detail.ts'
import type { EventTracesTable } from '../../db/tables.ts'

/** Webhook deliveries of one event, counted by state. */
export interface WebhookCounts { pending: number, delivered: number, dead: number }
export const noWebhooks: WebhookCounts = { pending: 0, delivered: 0, dead: 0 }

/** A row of the trace store with its parts. */
export interface StoredRun {
  id: string
  createdAt: number
  node: string
  n: number
  scope: Scope
  topic: string
  outcome: EventTracesTable['outcome']
  firstOffset: number | null
  run: RunDetail | undefined
  refusal: RefusalDetail | undefined
  parts: NodePart[]
}

/** The steps of one node for a run, or for some of its events. */
export interface NodePart { node: string, detail: PartDetail, indexes: Map<number, number> | undefined }

export interface NodeStep {
  node: string
  matched: number
  filtered: number
  lost: number
  routedMs: number
  firstMs: number | null
  lastMs: number | null
  matchedIds: readonly string[]
  filteredIds: readonly string[]
}

export function toNodePart (node: string, detail: PartDetail): NodePart {
  return {
    node, detail,
    indexes: detail.places === undefined ? undefined : new Map(detail.places.map((place, i) => [place, i]))
  }
}

/** One traced event: a place in a run. */
export class TracedEvent {
  readonly stored: StoredRun
  /** `place` counts all events of the run, `index` only the traced ones. */
  readonly place: number
  readonly index: number
  readonly id: string
  readonly steps: readonly NodeStep[]

  constructor (stored: StoredRun, index: number) {
    this.stored = stored
    this.index = index
    this.place = stored.run?.places?.[index] ?? index
    this.id = eventIdIn(stored.id, this.place)
    this.steps = stored.parts.flatMap(part => stepOf(part, this.place))
  }

  get offset (): number | null {
    return this.stored.firstOffset === null ? null : this.stored.firstOffset + this.place
  }

  get matched (): number { return sum(this.steps, ({ matched }) => matched) }
  get filtered (): number { return sum(this.steps, ({ filtered }) => filtered) }
  get delivered (): number { return sum(this.steps, ({ matched, lost }) => matched - lost) }

  /** `isSeen`: whether the payload may be shown. With known filters, the recipients would reveal it. */
  statusWith ({ pending, delivered, dead }: WebhookCounts, isSeen: boolean): TraceStatus {
    const { outcome } = this.stored
    if (outcome === 'rejected' || outcome === 'failed') return outcome
    if (!isSeen) return 'stored'
    if (dead > 0) return 'failed'
    if (this.delivered > 0 || delivered > 0) return 'delivered'
    return pending > 0 ? 'pending' : 'no_subscribers'
  }

  /** Works as `statusWith`. Schema violations, too, would reveal the payload. */
  toSummary (webhooks: WebhookCounts, isSeen: boolean): TraceSummary {
    const { stored, index } = this
    const last = this.steps.flatMap(({ lastMs }) => lastMs ?? [])
    return {
      eventId: this.id,
      topic: stored.topic,
      type: stored.run === undefined ? stored.refusal?.type ?? '' : at(stored.run.types, index),
      source: this.source,
      status: this.statusWith(webhooks, isSeen),
      applicationId: stored.scope.applicationId,
      environment: stored.scope.environment,
      timestamp: stored.createdAt,
      offset: this.offset,
      schemaVersion: this.schemaVersion,
      matched: isSeen ? this.matched : null,
      filtered: isSeen ? this.filtered : null,
      delivered: isSeen ? this.delivered : null,
      webhooks: isSeen ? { ...webhooks } : null,
      lastLatencyMs: last.length === 0 || !isSeen ? null : Math.max(0, ...last),
      ...(stored.refusal !== undefined &&
        {
          error: isSeen
            ? stored.refusal.error as TraceSummary['error'] & object
            : withoutPayload(stored.topic, stored.refusal)
        })
    }
  }

  get source (): string {
    return this.stored.run === undefined ? this.stored.refusal?.source ?? '' : at(this.stored.run.sources, this.index)
  }

  get schemaVersion (): number | null {
    return this.stored.run === undefined
      ? this.stored.refusal?.schemaVersion ?? null
      : at(this.stored.run.versions, this.index)
  }
}

function withoutPayload (
  topic: string, { error: { error, code }, schemaVersion }: RefusalDetail
): TraceSummary['error'] & object {
  return {
    error,
    code,
    message: code === 'SCHEMA_VIOLATED'
      ? `The payload violates version ${schemaVersion} of the schema of ${topic}`
      : `Rejected with ${code}. Seeing the reason requires permission to read the topic`
  }
}

/** Returns the events of a run, newest first, as in the list. */
export function eventsOf (stored: StoredRun): TracedEvent[] {
  const count = stored.run?.count ?? 1
  return Array.from({ length: count }, (_, i) => new TracedEvent(stored, count - 1 - i))
}

function stepOf ({ node, detail, indexes }: NodePart, place: number): NodeStep[] {
  const i = indexes === undefined ? place : indexes.get(place)
  if (i === undefined || i >= detail.count) return []
  const [matchedIds, filteredIds] = detail.lists[at(detail.list, i)] ?? [[], []]
  return [{
    node,
    matched: at(detail.matched, i),
    filtered: at(detail.filtered, i),
    lost: at(detail.lost, i),
    routedMs: at(detail.routedMs, i),
    firstMs: at(detail.firstMs, i),
    lastMs: at(detail.lastMs, i),
    matchedIds,
    filteredIds
  }]
}

const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0)
