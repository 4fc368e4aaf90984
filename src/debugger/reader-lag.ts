import type { ReaderStatus } from '../cdc/replication/reader.ts'

/**
 * Returns since when a reader has lagged, by the status that it stored last: since the commit of the oldest received
 * transaction that is not stored, or since it stopped streaming. Undefined if it does not lag.
 */
export function lagSince (status: string | null): number | undefined {
  const { state, since, oldestCommitAt } = JSON.parse(status ?? '{}') as Partial<ReaderStatus>
  return (state === 'streaming' ? oldestCommitAt : since) ?? undefined
}
