import { ServiceUnavailableError } from '../errors.ts'
import type { Writer } from '../events/intent.ts'
import type { Environment } from '../../schemas/scope.ts'
import { endIntent } from './document-intents.ts'

/** The number of documents that callers look up at a time. */
export const endPageSize = 500
/** Limits the data that is read into memory at a time: deleting a document reads its data. */
const togetherBytesMax = 4 * 1024 * 1024

export interface DoomedDocument {
  application_id: string
  environment: Environment
  service: string
  id: string
  /** The size of the data. */
  bytes: number
}

export interface EndOutcome {
  ended: number
  /** The number of documents that could not be deleted for a reason other than an unavailable writer. */
  failed: number
  /** Why the first document that still exists was not deleted. */
  failure?: unknown
  /** Applications whose share of the writer's queue is full. Their remaining documents are left for a later call. */
  crowded: Set<string>
  /** Whether all remaining documents were left because the writer accepts no intents. */
  isInterrupted: boolean
}

/**
 * Deletes documents of any tenants, each by its own intent. Continues past documents that cannot be deleted and past
 * applications whose writes are refused. Stops if the writer accepts no intents at all.
 */
export async function endDocuments (
  writer: Writer, doomed: readonly DoomedDocument[], { isForced }: { isForced: boolean }
): Promise<EndOutcome> {
  const outcome: EndOutcome = { ended: 0, failed: 0, crowded: new Set(), isInterrupted: false }
  for (const group of groupsOf(doomed)) {
    const free = group.filter(document => !outcome.crowded.has(document.application_id))
    const settled = await Promise.allSettled(free.map(document => writer.submit(endIntent(
      { applicationId: document.application_id, environment: document.environment },
      { service: document.service, id: document.id },
      { isForced, bytes: document.bytes }
    ))))
    for (const [i, result] of settled.entries()) {
      if (result.status === 'fulfilled') {
        if (result.value) outcome.ended++
        continue
      }
      outcome.failure ??= result.reason
      if (!(result.reason instanceof ServiceUnavailableError)) outcome.failed++
      else if (result.reason.code === 'QUEUE_FULL') outcome.crowded.add((free[i] as DoomedDocument).application_id)
      else outcome.isInterrupted = true
    }
    if (outcome.isInterrupted) break
  }
  return outcome
}

function * groupsOf (documents: readonly DoomedDocument[]): Generator<DoomedDocument[]> {
  let group: DoomedDocument[] = []
  let bytes = 0
  for (const document of documents) {
    if (group.length > 0 && bytes + document.bytes > togetherBytesMax) {
      yield group
      group = []
      bytes = 0
    }
    group.push(document)
    bytes += document.bytes
  }
  if (group.length > 0) yield group
}
