import { sql, type Kysely } from 'kysely'
import type { Encryption, SealedPlace } from './encryption.ts'

const rowsAtOnce = 200

export interface Reencrypted { table: string, column: string, sealedAnew: number, unreadable: string[] }

/**
 * Seals with the first key every secret that was sealed with another key, or in an earlier form. Nodes that have both
 * keys keep running meanwhile, and the command can be interrupted and run again. Secrets that no key opens are kept and
 * reported.
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
      // If the row was changed meanwhile, its writer has already sealed the new value.
      const { numAffectedRows } =
        await sql`update ${tableRef} set ${columnRef} = ${anew}::text::${typeName}
          where ${idRef}::text = ${id} and ${columnRef}::text = ${sealed}`.execute(db)
      outcome.sealedAnew += Number(numAffectedRows)
    }
    after = rows.at(-1)?.id ?? after
    isMore = rows.length === rowsAtOnce
  }
  return outcome
}

/**
 * Returns whether a secret has an earlier form, which the server cannot open but `reencrypt` can update. Secrets that
 * no key opens do not count.
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

/** A sealed secret, by itself or within JSON; see `Encryption`. */
const sealedForm = /v[12]\.[\w-]+\.[\w-]+\.[\w-]+\.[\w-]*/g

/** Returns the text with its secrets sealed with the first key, or undefined if no key opens one of them. */
function sealedAnew (encryption: Encryption, place: SealedPlace, text: string): string | undefined {
  try {
    return text.replace(sealedForm, sealed => encryption.reseal(sealed, place))
  } catch {
    return undefined
  }
}

/** A column of sealed secrets: one per row, or several within JSON. `id` identifies the row. */
export interface SealedColumn {
  table: string
  id: string
  column: string
  type?: 'jsonb'
  /** The column with the id of the place, if that is not the row's own id. */
  boundTo?: string
  place: (id: string) => SealedPlace
}

const bound = (table: string, column: string) => (id: string): SealedPlace => ({ table, column, id })

/** The place of each secret, by the id of its row. */
export const sealedPlaces = {
  signingKey: bound('signing_keys', 'secret_sealed'),
  secondFactor: bound('users', 'mfa_secret_sealed'),
  /** A connection's leftovers copy its sealed string, so they share its place. */
  connection: bound('cdc_connections', 'connection_string_sealed'),
  webhook: bound('webhooks', 'secrets')
} as const

/**
 * Every column of sealed secrets. A column that is missing here is left behind when ENCRYPTION_KEY changes (`npm run
 * reencrypt`).
 */
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
