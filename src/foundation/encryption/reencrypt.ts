import { sql, type Kysely } from 'kysely'
import type { Encryption, SealedPlace } from './encryption.ts'

const rowsAtOnce = 200

export interface Reencrypted { table: string, column: string, sealedAnew: number, unreadable: string[] }

/**
 * Seals with the first key what was sealed with another, or in the form of an earlier version. Nodes go on meanwhile,
 * if they know both keys; it may be broken off and run again. What no key opens is left as it is, and named.
 */
export async function reencrypt<T> (
  db: Kysely<T>, encryption: Encryption, columns: readonly SealedColumn[] = sealedColumns
): Promise<Reencrypted[]> {
  const done: Reencrypted[] = []
  for (const column of columns) done.push(await reencryptColumn(db, encryption, column))
  return done
}

async function reencryptColumn<T> (
  db: Kysely<T>, encryption: Encryption, { table, id, column, type, boundTo = id, place }: SealedColumn
): Promise<Reencrypted> {
  const outcome: Reencrypted = { table, column, sealedAnew: 0, unreadable: [] }
  const [tableRef, idRef, boundRef, columnRef, typeName] = [
    sql.table(table), sql.ref(id), sql.ref(boundTo), sql.ref(column), sql.raw(type ?? 'text')
  ]
  for (let after = '', isMore = true; isMore;) {
    const { rows } = await sql<{ id: string, bound: string, sealed: string }>`
      select ${idRef}::text as id, ${boundRef}::text as bound, ${columnRef}::text as sealed from ${tableRef}
      where ${columnRef} is not null and ${idRef}::text > ${after} order by ${idRef}::text limit ${rowsAtOnce}`.execute(
      db
    )
    for (const { id, bound, sealed } of rows) {
      const anew = sealedAnew(encryption, place(bound), sealed)
      if (anew === sealed) continue
      if (anew === undefined) {
        outcome.unreadable.push(id)
        continue
      }
      // Unless it was changed meanwhile: then it was sealed by whoever changed it.
      const { numAffectedRows } =
        await sql`update ${tableRef} set ${columnRef} = ${anew}::text::${typeName} where ${idRef}::text = ${id} and ${columnRef}::text = ${sealed}`
          .execute(db)
      outcome.sealedAnew += Number(numAffectedRows)
    }
    after = rows.at(-1)?.id ?? after
    isMore = rows.length === rowsAtOnce
  }
  return outcome
}

/**
 * Whether a secret has the form of an earlier version, which the server does not open and `reencrypt` would bring up to
 * date. One that no key opens does not count: nothing would help it.
 */
export async function hasEarlierForm<T> (
  db: Kysely<T>, encryption: Encryption, columns: readonly SealedColumn[] = sealedColumns
): Promise<boolean> {
  for (const { table, id, column, boundTo = id, place } of columns) {
    const columnRef = sql.ref(column)
    const { rows } = await sql<{ bound: string, sealed: string }>`
      select ${sql.ref(boundTo)}::text as bound, ${columnRef}::text as sealed from ${sql.table(table)}
      where ${columnRef}::text ~ '(^|")v1[.]' limit ${rowsAtOnce}`.execute(db)
    if (rows.some(({ bound, sealed }) => sealedAnew(encryption, place(bound), sealed) !== undefined)) return true
  }
  return false
}

/** The form of a sealed secret, by itself or within JSON: see `Encryption`. */
const sealedForm = /v[12]\.[\w-]+\.[\w-]+\.[\w-]+\.[\w-]*/g

/** The text with what another key has sealed in it sealed by the first; undefined when no key opens some of it. */
function sealedAnew (encryption: Encryption, place: SealedPlace, text: string): string | undefined {
  try {
    return text.replace(sealedForm, sealed => encryption.reseal(sealed, place))
  } catch {
    return undefined
  }
}

/** A column of secrets that `Encryption` has sealed, one by itself or several within JSON; `id` names its row. */
export interface SealedColumn {
  table: string
  id: string
  column: string
  type?: 'jsonb'
  /** The column with the id that the place is made of, where that is not the row's own. */
  boundTo?: string
  place: (id: string) => SealedPlace
}

const bound = (table: string, column: string) => (id: string): SealedPlace => ({ table, column, id })

/** What each secret is bound to, by the id of its row. */
export const sealedPlaces = {
  signingKey: bound('signing_keys', 'secret_sealed'),
  secondFactor: bound('users', 'mfa_secret_sealed'),
  /** Leftovers of a connection keep its string as it was sealed, so they are bound to the connection as well. */
  connection: bound('cdc_connections', 'connection_string_sealed'),
  webhook: bound('webhooks', 'secrets')
} as const

/** Every one of them: a column that is missing here stays behind when ENCRYPTION_KEY changes (`npm run reencrypt`). */
export const sealedColumns: readonly SealedColumn[] = [
  { table: 'signing_keys', id: 'id', column: 'secret_sealed', place: sealedPlaces.signingKey },
  { table: 'users', id: 'id', column: 'mfa_secret_sealed', place: sealedPlaces.secondFactor },
  { table: 'cdc_connections', id: 'id', column: 'connection_string_sealed', place: sealedPlaces.connection },
  {
    table: 'cdc_leftovers', id: 'id', column: 'connection_string_sealed', place: sealedPlaces.connection,
    boundTo: 'connection_id'
  },
  { table: 'webhooks', id: 'id', column: 'secrets', type: 'jsonb', place: sealedPlaces.webhook }
]
