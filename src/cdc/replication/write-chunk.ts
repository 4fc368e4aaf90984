import type { Scope } from '../../../schemas/scope.ts'
import { mappingFailureOf } from '../../foundation/observability/metric-labels.ts'
import type { DraftedChunk } from '../decoding/chunk.ts'
import type { StreamStep } from '../decoding/change-pipeline.ts'
import type { DeliveryRow } from '../mappings/mapping-log.ts'
import type { LeaseKey } from '../source/stream-state.ts'
import { toIntent } from './chunk-intent.ts'
import type { ReaderParts } from './reader-parts.ts'

export interface WriteChunkOptions extends Pick<ReaderParts, 'writer' | 'metrics' | 'log' | 'onMappingFailed'> {
  scope: Scope
  lease: LeaseKey
}

/** Writes a chunk to the log together with the step of the stream's position, and reports the failures of mappings. */
export async function writeChunk (options: WriteChunkOptions, chunk: DraftedChunk, step: StreamStep): Promise<void> {
  const { scope, lease, writer, log } = options
  const rows = await writer.submit(toIntent(chunk, scope, { ...lease, ...step }))
  for (const row of rows) if (row.status !== 'delivered') reportFailure(options, row)
  log.debug(
    { connectionId: lease.connectionId, changes: chunk.changes, transactions: chunk.transactions }, 'cdc.written'
  )
}

function reportFailure (
  { scope, lease, metrics, log, onMappingFailed }: WriteChunkOptions, row: DeliveryRow
): void {
  metrics.cdcMappingFailures.inc({ code: mappingFailureOf(row.code) }, row.events)
  onMappingFailed?.(scope, row)
  log.warn({
    connectionId: lease.connectionId, mappingId: row.mappingId, topic: row.topic, table: row.table,
    changes: row.events, code: row.code, lsn: row.lsn
  }, 'cdc.mapping_failed')
}
