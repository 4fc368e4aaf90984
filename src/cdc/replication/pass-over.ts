import { setTimeout as sleep } from 'node:timers/promises'
import type { Scope } from '../../../schemas/scope.ts'
import type { DeliveryRow } from '../mappings/mapping-log.ts'
import type { SourceClient } from '../source/source.ts'
import type { ActiveMappings } from '../decoding/active-mappings.ts'
import { wholeTransaction } from '../decoding/change-pipeline.ts'
import { toIntent } from './chunk-intent.ts'
import type { FailureCode } from '../decoding/chunk.ts'
import type { DecodingFailure } from '../decoding/decoding-error.ts'
import { findCommit } from '../source/find-commit.ts'
import { behind, formatLsn, parseLsn, type LeaseKey, type StreamState } from '../source/stream-state.ts'
import type { ConnectionSettings } from '../source/open-stream.ts'
import type { ReaderParts } from './reader-parts.ts'
import type { TransactionReference } from '../decoding/tally.ts'

export interface PassOverOptions
  extends Pick<ReaderParts, 'writer' | 'states' | 'metrics' | 'log' | 'onMappingFailed'> {
  client: SourceClient
  scope: Scope
  lease: LeaseKey
  settings: ConnectionSettings
  mappings: ActiveMappings
  /** Ends the application name of a session that holds the slot. */
  session: string
  failure: DecodingFailure
}

/** Decoding up to the failing transaction may take long, and happens a few dozen times. */
const searchTimeoutMs = 300_000
const code: FailureCode = 'ROW_UNDECODABLE'

/**
 * Skips the rest of a transaction that PostgreSQL fails to decode; its changes before the failing one are stored. The
 * tables of the skipped changes are unknown, so the delivery log of each mapping records the loss, in the same commit
 * as the new position.
 */
export async function passOver (options: PassOverOptions, state: StreamState): Promise<StreamState> {
  const { scope, lease, writer, states, mappings, failure } = options
  const transaction = failure.transaction ?? await findTransaction(options)
  if (transaction === undefined || parseLsn(transaction.lsn) < parseLsn(state.place.commitLsn)) return state
  const failures = lossRows(await mappings.current(), transaction, failure)
  const to = { commitLsn: transaction.lsn, changeIndex: wholeTransaction }
  const position = { ...lease, from: state.place, to, confirmedLsn: formatLsn(behind(parseLsn(transaction.lsn))) }
  await writer.submit(
    toIntent({ prepared: [], failures, topics: [], bytes: 0, changes: 0, transactions: 1 }, scope, position)
  )
  report(options, transaction, failures)
  return await states.read(lease)
}

function lossRows (
  { byTable }: Awaited<ReturnType<ActiveMappings['current']>>, { lsn, xid, committedAt }: TransactionReference,
  failure: DecodingFailure
): DeliveryRow[] {
  const message =
    `PostgreSQL fails to decode a row of ${failure.table ?? 'a table'} in this transaction: ${failure.reason}. ` +
    (failure.changes === 0
      ? "None of the transaction's changes is delivered."
      : `The transaction's changes after the first ${failure.changes} are not delivered.`)
  return [...byTable.values()].flat().map(({ reference: { id, subscriptionId, topic, table } }) => (
    { mappingId: id, subscriptionId, status: 'failed', topic, table, events: 0, code, message, lsn, xid, committedAt }))
}

function report (
  { scope, lease, metrics, log, onMappingFailed, failure }: PassOverOptions, { lsn, xid }: TransactionReference,
  rows: readonly DeliveryRow[]
): void {
  metrics.cdcTransactionsPassedOver.inc()
  for (const row of rows) {
    metrics.cdcMappingFailures.inc({ code })
    onMappingFailed?.(scope, row)
  }
  const { sqlState, text, table, changes } = failure
  log.error({
    connectionId: lease.connectionId,
    ...scope,
    lsn,
    xid,
    sqlState,
    table,
    changesBefore: changes,
    mappings: rows.length,
    reason: text
  }, 'cdc.transaction_undecodable')
}

/** Finds the transaction. PostgreSQL does not report its number and time. */
async function findTransaction (
  { client, settings: { slot, publication }, session, failure: { lsn: changeLsn, sqlState } }: PassOverOptions
): Promise<TransactionReference | undefined> {
  if (changeLsn === null) return undefined
  const searching = await client.another({
    mark: session, statement_timeout: searchTimeoutMs, query_timeout: searchTimeoutMs
  })
  try {
    const lsn = await findCommit(searching, { slot, publication, sqlState, changeLsn })
    return lsn === undefined ? undefined : { lsn, xid: 0, committedAt: Date.now() }
  } finally {
    await searching.close()
    await slotFreed(client, slot)
  }
}

/** Waits for the slot: a session that has ended holds it a moment longer. */
async function slotFreed (client: SourceClient, slot: string): Promise<void> {
  for (let attempts = 0; attempts < 50; attempts++) {
    const { rowCount } = await client.query('select from pg_replication_slots where slot_name = $1 and active', [slot])
    if (rowCount === 0) return
    await sleep(20)
  }
}
