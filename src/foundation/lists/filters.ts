import { sql, type RawBuilder } from 'kysely'

type Condition = RawBuilder<boolean> | undefined

/** Returns the condition that a column has a value, or undefined without one. */
export const isValue = (column: string, value: string | number | boolean | undefined): Condition =>
  value === undefined ? undefined : sql<boolean>`${sql.ref(column)} = ${value}`

/** Returns the condition that a time is at or after `from` and before `to`, or undefined without either. */
export function isBetween (column: string, from: number | undefined, to: number | undefined): Condition {
  if (from === undefined && to === undefined) return undefined
  return sql<boolean>`${sql.ref(column)} >= ${from ?? 0} and ${sql.ref(column)} < ${to ?? Number.MAX_SAFE_INTEGER}`
}
