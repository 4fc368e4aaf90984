import { sql, type Kysely } from 'kysely'
import type { Encryption, SealedPlace } from './encryption.ts'
import { sealedColumns, type SealedColumn } from '../../sealed-columns.ts'

const rowsAtOnce = 200

export interface Reencrypted { table: string, column: string, sealedAnew: number, unreadable: string[] }

/**
 * Seals with the first key what was sealed with another, or in the form of an earlier version. Nodes go on meanwhile, if they know both keys; it may be broken
 * off and run again. What no key opens is left as it is, and named.
 */
export async function reencrypt<T> (db: Kysely<T>, encryption: Encryption, columns: readonly SealedColumn[] = sealedColumns): Promise<Reencrypted[]> {
  const done: Reencrypted[] = []
  for (const column of columns) done.push(await reencryptColumn(db, encryption, column))
  return done
}

async function reencryptColumn<T> (db: Kysely<T>, encryption: Encryption, { table, id, column, type, boundTo = id, place }: SealedColumn): Promise<Reencrypted> {
  const outcome: Reencrypted = { table, column, sealedAnew: 0, unreadable: [] }
  const [tableRef, idRef, boundRef, columnRef, typeName] = [sql.table(table), sql.ref(id), sql.ref(boundTo), sql.ref(column), sql.raw(type ?? 'text')]
  for (let after = '', isMore = true; isMore;) {
    const { rows } = await sql<{ id: string, bound: string, sealed: string }>`
      select ${idRef}::text as id, ${boundRef}::text as bound, ${columnRef}::text as sealed from ${tableRef}
      where ${columnRef} is not null and ${idRef}::text > ${after} order by ${idRef}::text limit ${rowsAtOnce}`.execute(db)
    for (const { id, bound, sealed } of rows) {
      const anew = sealedAnew(encryption, place(bound), sealed)
      if (anew === sealed) continue
      if (anew === undefined) {
        outcome.unreadable.push(id)
        continue
      }
      // Unless it was changed meanwhile: then it was sealed by whoever changed it.
      const { numAffectedRows } = await sql`update ${tableRef} set ${columnRef} = ${anew}::text::${typeName} where ${idRef}::text = ${id} and ${columnRef}::text = ${sealed}`.execute(db)
      outcome.sealedAnew += Number(numAffectedRows)
    }
    after = rows.at(-1)?.id ?? after
    isMore = rows.length === rowsAtOnce
  }
  return outcome
}

/**
 * Whether a secret has the form of an earlier version, which the server does not open and `reencrypt` would bring up to date. One that no key
 * opens does not count: nothing would help it.
 */
export async function hasEarlierForm<T> (db: Kysely<T>, encryption: Encryption, columns: readonly SealedColumn[] = sealedColumns): Promise<boolean> {
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
