import type pg from 'pg'

/** Six hours per partition: twelve at the default retention, few enough for a look-up by offset to probe each. */
export const partitionMs = 6 * 3_600_000
/** Partitions are created a day ahead, so that a write finds one despite a stalled sweep or a clock step. */
const aheadMs = 24 * 3_600_000

/** The tables that are partitioned by time. */
export type PartitionedTable = 'events' | 'event_traces' | 'event_trace_parts'

const startOf = (time: number) => Math.floor(time / partitionMs) * partitionMs

/**
 * Creates the partitions of a table from the previous one until a day ahead. Several nodes may call it at once. The
 * name of a partition contains its first millisecond, from which retention reads its age.
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

/** A partition, and its first millisecond. */
export interface Partition { name: string, start: number }

/** Returns the partitions in which every event is older than the retention, oldest first. */
export async function expiredPartitions (
  pool: Pick<pg.Pool, 'query'>, now: number, retentionMs: number, table: PartitionedTable = 'events'
): Promise<Partition[]> {
  const { rows } = await pool.query<{ name: string }>(
    'select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass', [table]
  )
  return rows.map(({ name }) => ({ name, start: Number(name.slice(table.length + 1)) }))
    .filter(({ start }) => start + partitionMs <= now - retentionMs)
    .sort((a, b) => a.start - b.start)
}

/** Drops the partitions in which every event is older than the retention. Returns their names. */
export async function dropExpiredPartitions (
  pool: Pick<pg.Pool, 'query'>, now: number, retentionMs: number, table: PartitionedTable = 'events'
): Promise<string[]> {
  const expired = await expiredPartitions(pool, now, retentionMs, table)
  for (const { name } of expired) await pool.query(`drop table if exists ${name}`)
  return expired.map(({ name }) => name)
}

/**
 * Returns whether another node created the same partition at the same time: 42P07 (duplicate table), 23505 on a catalog
 * index, or 42P17 (overlap).
 */
const isDuplicate = (error: unknown) => ['42P07', '23505', '42P17'].includes((error as { code?: string }).code ?? '')
