import type { ConnectionCheck } from '../../../../schemas/database.ts'
import { quoteIdentifier } from '../../mappings/table-name.ts'
import { readFacts, readSystemIdentifier } from '../../source/slot.ts'
import type { SourceClient } from '../../source/source.ts'
import { failed, ok, problemOf, type Subject } from './check.ts'
import { readServerLimits, type ServerLimits } from './server-limits.ts'

/** Checks whether the server's settings and the user's attributes allow logical replication. */
export async function examineServer (client: SourceClient, { user }: Subject): Promise<ConnectionCheck[]> {
  const { version, walLevel } = await readFacts(client)
  const limits = await readServerLimits(client)
  return [
    ok('version', `PostgreSQL ${Math.floor(version / 10_000)}`),
    checkWalLevel(walLevel),
    await checkReplication(client, user, limits),
    checkSenders(limits),
    ...checkRetention(limits)
  ]
}

function checkWalLevel (walLevel: string): ConnectionCheck {
  return walLevel === 'logical'
    ? ok('wal_level', 'wal_level is logical')
    : failed(
      'wal_level',
      `wal_level is ${walLevel}; it must be logical`,
      'ALTER SYSTEM SET wal_level = logical; -- then restart the server'
    )
}

async function checkReplication (client: SourceClient, user: string, limits: ServerLimits): Promise<ConnectionCheck> {
  try {
    await readSystemIdentifier(client)
    return ok('replication', `The user ${user} may replicate`)
  } catch (error) {
    return limits.can_replicate
      ? failed('replication', `A replication connection is refused: ${problemOf(error)}`)
      : failed(
        'replication',
        `The user ${user} lacks the attribute REPLICATION`,
        `ALTER ROLE ${quoteIdentifier(user)} REPLICATION;`
      )
  }
}

function checkSenders ({ senders, senders_max: most }: ServerLimits): ConnectionCheck {
  return senders < most
    ? ok('wal_senders', `${senders} of ${most} WAL senders are in use`)
    : failed(
      'wal_senders',
      `All ${most} WAL senders are in use`,
      `ALTER SYSTEM SET max_wal_senders = ${most + 10}; -- then restart the server`
    )
}

/** Warns while an abandoned slot could fill the disk. */
function checkRetention ({ kept }: ServerLimits): ConnectionCheck[] {
  if (kept !== '-1') return []
  return [{
    name: 'wal_retention',
    status: 'warning',
    message: 'max_slot_wal_keep_size is unlimited: a slot that is no longer read can fill the disk',
    sql: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();"
  }]
}
