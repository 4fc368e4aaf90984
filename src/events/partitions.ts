import type pg from 'pg'

/** Six hours a partition: twelve at the default retention, few enough that a look-up by offset may probe each. */
export const partitionMs = 6 * 3_600_000
/**
 * Partitions are made a day ahead, so that neither a stalled sweep nor a clock that steps leaves a write without one.
 */
const aheadMs = 24 * 3_600_000

/** What is partitioned by time: the log, and what is kept of its events' lives. */
export type PartitionedTable = 'events' | 'event_traces' | 'event_trace_parts'

const startOf = (time: number) => Math.floor(time / partitionMs) * partitionMs

/**
 * Makes the partitions of a table from a while ago until a day ahead. Several nodes may do so at once.
 * They are named for their first millisecond, so that retention can read their age.
 */
export async function ensurePartitions (
  pool: Pick<pg.Pool, 'query'>, now: number, table: PartitionedTable = 'events'
): Promise<void> {
  for (let start = startOf(now - partitionMs); start <= now + aheadMs; start += partitionMs) {
    try {
      await pool.query(
        `create table if not exists ${table}_${start} partition of ${table} for values from (${start}) to (${
          start + partitionMs
        })`
      )
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
  }
}

/** Drops the partitions whose every event is older than the retention. Answers their names. */
export async function dropExpiredPartitions (
  pool: Pick<pg.Pool, 'query'>, now: number, retentionMs: number, table: PartitionedTable = 'events'
): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    'select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass', [table]
  )
  const expired = rows.map(row => row.name).filter(name => {
    const start = Number(name.slice(table.length + 1))
    return start + partitionMs <= now - retentionMs
  })
  for (const name of expired) await pool.query(`drop table if exists ${name}`)
  return expired
}

/**
 * Two nodes that make the same partition at once: one gets 42P07 (duplicate table), 23505 on a catalogue index, or
 * 42P17 (overlap).
 */
const isDuplicate = (error: unknown) => ['42P07', '23505', '42P17'].includes((error as { code?: string }).code ?? '')
