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
  failure?: unknown
}

/**
 * Ends documents of any tenants by intents of their own. One that cannot be ended does not keep the others from it,
 * but when the writer takes no more, the rest is left for another time.
 */
export async function endDocuments (writer: Writer, doomed: readonly DoomedDocument[], { isForced }: { isForced: boolean }): Promise<EndOutcome> {
  const outcome: EndOutcome = { ended: 0, failed: 0 }
  for (const group of groupsOf(doomed)) {
    const settled = await Promise.allSettled(group.map(document => writer.submit(endIntent(
      { applicationId: document.application_id, environment: document.environment },
      { service: document.service, id: document.id },
      { isForced, bytes: document.bytes }
    ))))
    for (const result of settled) {
      if (result.status === 'fulfilled') {
        if (result.value) outcome.ended++
      } else if (outcome.failed++ === 0) {
        outcome.failure = result.reason
      }
    }
    if (outcome.failure instanceof ServiceUnavailableError) break
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
