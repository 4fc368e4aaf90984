import type { SourceClient } from '../../source/source.ts'

/** The limits of a source's server, how much of them is in use, and the attributes of the user. */
export interface ServerLimits {
  slots: number
  slots_max: number
  senders: number
  senders_max: number
  can_replicate: boolean
  can_create: boolean
  kept: string | null
}

export async function readServerLimits (client: SourceClient): Promise<ServerLimits> {
  const { rows: [row] } = await client.query<ServerLimits>(`
    select (select count(*)::int from pg_replication_slots) as slots,
      current_setting('max_replication_slots')::int as slots_max,
      (select count(*)::int from pg_stat_activity where backend_type = 'walsender') as senders,
      current_setting('max_wal_senders')::int as senders_max,
      rolreplication or rolsuper as can_replicate,
      has_database_privilege(current_database(), 'CREATE') as can_create,
      (select setting from pg_settings where name = 'max_slot_wal_keep_size') as kept
    from pg_roles where rolname = current_user`)
  if (row === undefined) throw new Error('pg_roles has no row for the current user')
  return row
}
