import { eventIdIn, newRun } from '../foundation/ids.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Recipients } from './event-routing.ts'
import type { EventDraft } from './envelope.ts'
import type { EpochOf } from './epochs.ts'
import type { Batch, DocumentState, Intent, Statement } from './intent.ts'
import type * as statements from './statements.ts'
import { BatchTooLargeError } from './batch-errors.ts'
import { documentKey, type LockedDocuments } from './locked-documents.ts'
import { topicKey } from './topic-key.ts'

/** The effects of an applied intent: its range of the planned events, and its document. */
export type PlannedEffects = { firstEvent: number, eventCount: number, document: DocumentState | undefined }

/** The number of events that a batch appends to one log. */
interface PlannedGrowth { log: string, scope: Scope, topic: string, run: string, count: number }

/** Collects the effects of a batch in the order of arrival. */
export class WritePlan {
  readonly now: number
  readonly services: { applicationId: string, name: string }[] = []
  readonly also: Statement[] = []
  /** The topics whose schemas refused a payload, one for each payload. */
  readonly violated: string[] = []
  readonly #drafts: { scope: Scope, draft: EventDraft, id: string, log: string }[] = []
  readonly #counts = new Map<string, PlannedGrowth>()
  #last: PlannedGrowth | undefined
  #documentWrites = 0
  readonly #textMax: number
  #text = 0

  /** `textMax` limits the length of all events together. */
  constructor (now: number, textMax: number) {
    this.now = now
    this.#textMax = textMax
  }

  get isEmpty () { return this.#drafts.length === 0 && this.#documentWrites === 0 }

  apply (intent: Intent<unknown>, batch: Batch, documents: LockedDocuments): PlannedEffects {
    const key = intent.document === undefined ? undefined : documentKey(intent.scope, intent.document)
    const held = key === undefined ? undefined : documents.get(key)
    const effects = intent.apply(batch, held?.state)
    if (effects.document !== undefined && key !== undefined) {
      documents.set(key, { scope: intent.scope, state: effects.document, exists: held?.exists ?? false, isDirty: true })
      if (held === undefined) {
        this.services.push({ applicationId: intent.scope.applicationId, name: effects.document.service })
      }
      this.#documentWrites++
    }
    const firstEvent = this.#drafts.length
    for (const draft of effects.events) this.#add(intent.scope, draft)
    if (effects.also !== undefined) this.also.push(...effects.also)
    return { firstEvent, eventCount: effects.events.length, document: effects.document ?? held?.state }
  }

  #add (scope: Scope, draft: EventDraft) {
    this.#text += draft.payload.length + (draft.diff?.length ?? 0)
    if (this.#text > this.#textMax) throw new BatchTooLargeError('the events of the batch are too large together')
    const growth = this.#growthOf(scope, draft.topic)
    this.#drafts.push({ scope, draft, id: eventIdIn(growth.run, growth.count++), log: growth.log })
  }

  /** Returns the growth of a log. Remembers the last one: adjacent events often have the same log. */
  #growthOf (scope: Scope, topic: string): PlannedGrowth {
    if (this.#last?.scope === scope && this.#last.topic === topic) return this.#last
    const log = topicKey(scope, topic)
    let growth = this.#counts.get(log)
    if (growth === undefined) this.#counts.set(log, growth = { log, scope, topic, run: newRun(), count: 0 })
    this.#last = growth
    return growth
  }

  toWriteSet (
    documents: LockedDocuments, recipients: Recipients | undefined, epochOf: EpochOf
  ): statements.WriteSet {
    const dirty = [...documents].filter(([, held]) => held.isDirty).sort(byKey).map(([, held]) => held)
    const logs = [...this.#counts].sort(byKey)
    const indexes = new Map(logs.map(([key], index) => [key, { index, left: logs[index]?.[1].count ?? 0 }]))
    const events = this.#drafts.map(({ draft, id, log }) => {
      const place = indexes.get(log) as { index: number, left: number }
      return { draft, id, log: place.index, back: --place.left }
    })
    return {
      now: this.now,
      updates: dirty.filter(held => held.exists).map(held => ({ ...held.state, scope: held.scope })),
      inserts: dirty.filter(held => !held.exists).map(held => ({ ...held.state, scope: held.scope })),
      logs: logs.map(([, { scope, topic, count }]) => ({ scope, topic, count, epoch: epochOf(scope, topic) })),
      events,
      owed: recipients === undefined ? [] : this.#owed(events, recipients)
    }
  }

  /** Returns one row for each recipient and log, with all its events. */
  #owed (events: statements.PlacedDraft[], recipients: Recipients): statements.Owed[] {
    const owed = new Map<string, statements.Owed>()
    for (const [i, { draft, log, back }] of events.entries()) {
      const { scope } = this.#drafts[i] as { scope: Scope }
      recipients.of(scope, draft, webhookId => {
        const key = `${webhookId} ${log}`
        const known = owed.get(key)
        if (known === undefined) owed.set(key, { webhookId, log, backs: [back] })
        else known.backs.push(back)
      })
    }
    return [...owed.values()]
  }
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]) => a < b ? -1 : a > b ? 1 : 0
