import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { ConnectionCheck, ConnectionTest, ConnectionTestBody } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { readActiveDefinitions } from '../decoding/mapping-snapshot.ts'
import { carriesMark } from '../source/slot-ownership.ts'
import {
  createPublicationSql, dropSlotSql, isOwnSlot, readFacts, readPublication, readSlot, readSystemIdentifier, type SlotRow
} from '../source/slot.ts'
import { compileMapping, type CompiledMapping } from '../mappings/compiled-mapping.ts'
import { PublicError } from '../../errors.ts'
import { explainForeignError } from '../../foundation/foreign-errors.ts'
import { parseConnectionString } from '../source/connection-string.ts'
import { readMappings } from '../mappings/mapping-rows.ts'
import { refusePlatformDatabase } from '../source/platform-database.ts'
import { addTableSql, isPublished } from '../source/publication.ts'
import { SourceError, toConversationError, type SourceClient, type SourceProblem } from '../source/source.ts'
import type { Source, SourcePool } from '../threads/source-pool.ts'
import { quoteIdentifier, tableKey, tableText, type TableName } from '../mappings/table-name.ts'
import { isFull, readPublishedTable } from '../source/published-table.ts'
import { problemsOf, writeProblems } from '../source/table-problems.ts'
import { fullIdentitySql, whyNotFull } from '../source/table-repairs.ts'
import type { SourceThreads } from '../threads/source-threads.ts'

interface Subject {
  connectionString: string
  publication: string
  slot: string
  user: string
  /** Returns whether the stored connection created the slot. */
  isOwn (slot: SlotRow): boolean
}

interface Limits {
  slots: number
  slots_max: number
  senders: number
  senders_max: number
  can_replicate: boolean
  can_create: boolean
  is_superuser: boolean
  kept: string | null
}

const ok = (name: string, message: string): ConnectionCheck => ({ name, status: 'ok', message })
const failed = (name: string, message: string, sql?: string): ConnectionCheck => ({
  name,
  status: 'failed',
  message,
  ...(sql !== undefined && { sql })
})

export interface ConnectionTestOptions {
  db: Kysely<Database>
  sources: SourcePool
  threads: SourceThreads
  namePrefix: string
}

/** Tests each precondition for reading a database and reports the statement that fixes it. */
export function createConnectionTest ({ db, sources, threads, namePrefix }: ConnectionTestOptions) {
  async function subjectOf (scope: Scope, body: ConnectionTestBody): Promise<Subject> {
    const stored = body.connectionString === undefined ? await sources.get(scope) : await sources.find(scope)
    const connectionString = body.connectionString ?? stored?.connectionString as string
    const slot = body.slot ?? stored?.slot ?? `${namePrefix}_test`
    return {
      connectionString,
      publication: body.publication ?? stored?.publication ?? `${namePrefix}_test`,
      slot,
      user: parseConnectionString(connectionString).user,
      isOwn: stored?.slot === slot ? await ownership(stored) : () => false
    }
  }

  async function ownership ({ slot, row }: Source): Promise<(found: SlotRow) => boolean> {
    const position = await db.selectFrom('cdc_positions').select(['slot', 'confirmed_lsn']).where(
      'connection_id', '=', row.id
    ).executeTakeFirst()
    const lsn = position?.slot === slot ? position.confirmed_lsn : row.slot_lsn
    return found => isOwnSlot(found, { isMarked: carriesMark(slot, row.mark), lsn })
  }

  /** Returns the mappings of the scope, enabled or not. */
  async function mappingsOf (scope: Scope): Promise<CompiledMapping[]> {
    const definitions = [...await readActiveDefinitions(db, scope), ...await readMappings(db, scope, { limit: 1000 })]
    return [...new Map(definitions.map(({ id, definition }) => [id, compileMapping(definition)])).values()]
  }

  return async function test (scope: Scope, body: ConnectionTestBody): Promise<ConnectionTest> {
    const subject = await subjectOf(scope, body)
    const mappings = await mappingsOf(scope)
    const checks = await threads.within(
      scope.applicationId, subject.connectionString, client => examine(db, client, subject, mappings)
    ).catch((error: unknown) => {
      if (error instanceof SourceError) return [failed('reachability', error.message)]
      throw error
    })
    return { ok: checks.every(({ status }) => status !== 'failed'), checks }
  }
}
export type TestConnection = ReturnType<typeof createConnectionTest>

const checkNames: Partial<Record<SourceProblem, string>> = { SOURCE_UNSUPPORTED: 'version', SOURCE_REFUSED: 'database' }

const problemOf = (error: unknown): string =>
  error instanceof SourceError || error instanceof PublicError ? error.message : explainForeignError(error)

async function examine (
  db: Kysely<Database>, client: SourceClient, subject: Subject, mappings: readonly CompiledMapping[]
): Promise<ConnectionCheck[]> {
  const checks = [ok('reachability', 'The database is reachable')]
  try {
    await refusePlatformDatabase(db, client)
    checks.push(...await examineServer(client, subject))
    checks.push(await examineSlot(client, subject))
    const tables = new Map(mappings.map(({ table }) => [tableKey(table), table]))
    checks.push(...await examinePublication(client, subject, [...tables.values()]))
    for (const [key, table] of tables) {
      checks.push(
        ...await examineTable(client, subject, table, mappings.filter(mapping => tableKey(mapping.table) === key))
      )
    }
  } catch (error) {
    const problem = toConversationError(error)
    const name = problem instanceof SourceError ? checkNames[problem.code] : undefined
    checks.push(failed(name ?? 'examination', problemOf(problem)))
  }
  return checks
}

async function examineServer (client: SourceClient, { user }: Subject): Promise<ConnectionCheck[]> {
  const { version, walLevel } = await readFacts(client)
  const limits = await readLimits(client)
  const checks = [
    ok('version', `PostgreSQL ${Math.floor(version / 10_000)}`),
    walLevel === 'logical'
      ? ok('wal_level', 'wal_level is logical')
      : failed(
        'wal_level',
        `wal_level is ${walLevel}; it must be logical`,
        'ALTER SYSTEM SET wal_level = logical; -- then restart the server'
      )
  ]
  try {
    await readSystemIdentifier(client)
    checks.push(ok('replication', `The user ${user} may replicate`))
  } catch (error) {
    checks.push(limits.can_replicate
      ? failed('replication', `A replication connection is refused: ${problemOf(error)}`)
      : failed(
        'replication',
        `The user ${user} lacks the attribute REPLICATION`,
        `ALTER ROLE ${quoteIdentifier(user)} REPLICATION;`
      ))
  }
  checks.push(
    limits.senders < limits.senders_max
      ? ok('wal_senders', `${limits.senders} of ${limits.senders_max} WAL senders are in use`)
      : failed(
        'wal_senders',
        `All ${limits.senders_max} WAL senders are in use`,
        `ALTER SYSTEM SET max_wal_senders = ${limits.senders_max + 10}; -- then restart the server`
      )
  )
  if (limits.kept === '-1') {
    checks.push({
      name: 'wal_retention', status: 'warning',
      message: 'max_slot_wal_keep_size is unlimited: a slot that is no longer read can fill the disk',
      sql: "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();"
    })
  }
  return checks
}

async function readLimits (client: SourceClient): Promise<Limits> {
  const { rows: [row] } = await client.query<Limits>(`
    select (select count(*)::int from pg_replication_slots) as slots,
      current_setting('max_replication_slots')::int as slots_max,
      (select count(*)::int from pg_stat_activity where backend_type = 'walsender') as senders,
      current_setting('max_wal_senders')::int as senders_max,
      rolreplication or rolsuper as can_replicate, rolsuper as is_superuser,
      has_database_privilege(current_database(), 'CREATE') as can_create,
      (select setting from pg_settings where name = 'max_slot_wal_keep_size') as kept
    from pg_roles where rolname = current_user`)
  if (row === undefined) throw new Error('pg_roles has no row for the current user')
  return row
}

async function examineSlot (client: SourceClient, { slot, isOwn }: Subject): Promise<ConnectionCheck> {
  const found = await readSlot(client, slot)
  if (found !== undefined && !isOwn(found)) {
    return found.active
      ? failed('slot', `Another program holds the replication slot ${slot}: choose another name`)
      : failed(
        'slot',
        `The replication slot ${slot} exists, and this connection did not create it: choose another name, or drop it ` +
          'if nothing needs it',
        dropSlotSql(slot)
      )
  }
  if (found?.walStatus === 'lost') {
    return failed(
      'slot', `The replication slot ${slot} was invalidated: PostgreSQL has removed the WAL after its position`
    )
  }
  if (found !== undefined) {
    return ok('slot', `The replication slot ${slot} exists${found.active ? ' and is being read' : ''}`)
  }
  const { slots, slots_max: most } = await readLimits(client)
  return slots < most
    ? ok('slot', `${slots} of ${most} replication slots are in use; ${slot} will be created`)
    : failed(
      'slot',
      `All ${most} replication slots are in use`,
      `ALTER SYSTEM SET max_replication_slots = ${most + 10}; -- then restart the server`
    )
}

async function examinePublication (
  client: SourceClient, { publication, user }: Subject, tables: readonly TableName[]
): Promise<ConnectionCheck[]> {
  const { version } = await readFacts(client)
  if (await readPublication(client, publication) === undefined) {
    const { can_create: canCreate } = await readLimits(client)
    if (!canCreate) {
      return [
        failed(
          'publication',
          `The publication ${publication} does not exist, and ${user} may not create it`,
          createPublicationSql(publication, version)
        )
      ]
    }
    const foreign = await foreignTables(client, tables)
    return [
      ok('publication', `The publication ${publication} will be created`),
      ...foreign.map(table =>
        failed(
          'table',
          `${user} does not own ${tableText(table)} and cannot add it to a publication`,
          addTableSql(publication, table)
        )
      )
    ]
  }
  const checks = [ok('publication', `The publication ${publication} exists`)]
  for (const table of tables) {
    const found = await isPublished(client, publication, table)
    if (found === 'missing') {
      checks.push(failed('table', `The table ${tableText(table)} does not exist or is not visible to ${user}`))
    } else if (found) checks.push(ok('table', `${tableText(table)} is in the publication`))
    else {
      // No statement is offered while publishing the table would break the owner's writes: the replica identity has to
      // be fixed first, and has its own check.
      const seen = await readPublishedTable(client, publication, table)
      const isHarmless = seen !== undefined && writeProblems(seen).length === 0
      checks.push({
        name: 'table',
        status: 'warning',
        message: `${tableText(table)} is not in the publication; enabling a mapping adds it if ${user} owns both`,
        ...(isHarmless && { sql: addTableSql(publication, table) })
      })
    }
  }
  return checks
}

/** Returns the tables that the user does not own: only an owner can add a table to a publication. */
async function foreignTables (client: SourceClient, tables: readonly TableName[]): Promise<TableName[]> {
  const foreign: TableName[] = []
  for (const table of tables) {
    const { rows: [row] } = await client.query<{ owned: boolean }>(
      `
      select pg_has_role(c.relowner, 'USAGE') as owned
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2`,
      [table.schema, table.name]
    )
    if (row?.owned === false) foreign.push(table)
  }
  return foreign
}

/** Checks whether old values of the table are available, and what affects its mappings. Reports each problem once. */
async function examineTable (
  client: SourceClient, { publication }: Subject, name: TableName, mappings: readonly CompiledMapping[]
): Promise<ConnectionCheck[]> {
  const table = await readPublishedTable(client, publication, name)
  if (table === undefined) return [failed('replica_identity', `The table ${tableText(name)} does not exist`)]
  const problems = new Map(
    mappings.flatMap(mapping => problemsOf(table, mapping)).map(problem => [problem.message, problem])
  )
  const checks = [...problems.values()].filter(({ code, harm }) => code !== 'REPLICA_IDENTITY' || harm === 'writes')
    .map(({ code, message, harm, sql }): ConnectionCheck => ({
      name: code === 'REPLICA_IDENTITY' ? 'replica_identity' : 'table',
      status: harm === 'none' ? 'warning' : 'failed',
      message,
      ...(sql !== undefined && { sql })
    }))
  if (checks.some(check => check.name === 'replica_identity')) return checks
  if (isFull(table)) return [ok('replica_identity', `The old values of ${tableText(name)} are available`), ...checks]
  const sql = fullIdentitySql(table)
  const message = `Only the key of the old values of ${
    tableText(name)
  } is available: the platform cannot tell whether another column has changed${whyNotFull(table)}`
  return [{ name: 'replica_identity', status: 'warning', message, ...(sql !== undefined && { sql }) }, ...checks]
}
