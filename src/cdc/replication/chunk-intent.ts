import type { Scope } from '../../../schemas/scope.ts'
import { PublicError } from '../../errors.ts'
import type { EventDraft } from '../../events/envelope.ts'
import type { Intent, PositionStep } from '../../events/intent.ts'
import { topicNotFound } from '../../registry/topics/topics.ts'
import { insertDeliveryRows, type DeliveryRow } from '../mappings/mapping-log.ts'
import type { DraftedChunk } from '../decoding/chunk.ts'
import { Tally } from '../decoding/tally.ts'

/**
 * Returns an intent of the row changes, which commits together with the position. A change that its topic refuses
 * counts against its mapping alone.
 */
export function toIntent (
  { prepared, failures, topics, bytes }: DraftedChunk, scope: Scope, position: PositionStep
): Intent<DeliveryRow[]> {
  let rows: DeliveryRow[] = []
  return {
    scope,
    position,
    topics,
    bytes,
    apply: batch => {
      const tally = new Tally(failures)
      const events: EventDraft[] = []
      for (const { mapping, transaction, draft } of prepared) {
        try {
          if (!batch.isRegistered(draft.topic)) throw topicNotFound(draft.topic)
          const schemaVersion = batch.hasSchema(draft.topic)
            ? batch.check(draft.topic, JSON.parse(draft.payload), '/payload')
            : null
          events.push({ ...draft, schemaVersion })
          tally.count(mapping, transaction, 'delivered')
        } catch (error) {
          if (!(error instanceof PublicError)) throw error
          tally.count(mapping, transaction, 'rejected', error.code, error.message)
        }
      }
      rows = tally.rows()
      return { events, ...(rows.length > 0 && { also: [insertDeliveryRows(scope, rows, batch.now)] }) }
    },
    answer: () => rows
  }
}
