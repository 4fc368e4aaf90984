import { ServiceUnavailableError } from '../errors.ts'
import type { Writer } from '../events/intent.ts'
import type { Environment } from '../../schemas/scope.ts'
import { endIntent } from './document-intents.ts'

/** Documents looked up at a time. */
export const endPageSize = 500
/** Their data is read into memory when they end: so much at a time. */
const togetherBytesMax = 4 * 1024 * 1024

export interface DoomedDocument {
  application_id: string
  environment: Environment
  service: string
  id: string
  /** Size of its data. */
  bytes: number
}

export interface EndOutcome {
  ended: number
  /** Those that could not be ended, and why the first of them could not. */
  failed: number
  /** Why the first of those was not ended that are still to be. */
  failure?: unknown
  /** Applications that have filled their part of the writer's queue: what is left of theirs is for another time. */
  crowded: Set<string>
  /** Whether the rest of all was left, because the writer takes nothing from anybody. */
  isInterrupted: boolean
}

/**
 * Ends documents of any tenants by intents of their own. Neither one that cannot be ended nor an application whose
 * writes are refused keeps the others from it, but when the writer takes no more at all, the rest is left for another
 * time.
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
