import type pg from 'pg'
import { unprepared } from '../../db/connection.ts'

export interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows'?: number
  'Actual Loops'?: number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}

interface Statement { text: string, values: unknown[] }

const mark = (unprepared.toOperationNode() as { sqlFragments: readonly string[] }).sqlFragments.join('')

/** Returns the statements of lists that are sent during `work`. */
export async function sentLists (pool: pg.Pool, work: () => Promise<unknown>): Promise<Statement[]> {
  const sent: Statement[] = []
  const { connect } = pool
  const watch = (client: pg.PoolClient): pg.PoolClient =>
    new Proxy(client, {
      get (target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        if (name !== 'query') return value.bind(target)
        return (statement: Statement, ...rest: unknown[]) => {
          if (statement.text?.startsWith(mark)) sent.push(statement)
          return Reflect.apply(value, target, [statement, ...rest])
        }
      }
    })
  // `pool.query` itself calls `connect` with a callback; lists do without one.
  pool.connect = ((...callback: unknown[]) => {
    const connected = Reflect.apply(connect, pool, callback) as Promise<pg.PoolClient> | undefined
    return connected?.then(watch)
  }) as typeof connect
  try {
    await work()
  } finally {
    pool.connect = connect
  }
  return sent
}

/** Returns the plans of the statements of lists that are sent during `work`, with what PostgreSQL did for them. */
export async function plansOf (pool: pg.Pool, work: () => Promise<unknown>): Promise<Plan[]> {
  const plans: Plan[] = []
  for (const { text, values } of await sentLists(pool, work)) {
    const { rows: [row] } = await pool.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, format json) ${text}`, values
    )
    plans.push((JSON.parse(row?.['QUERY PLAN'] ?? '') as [{ Plan: Plan }])[0].Plan)
  }
  return plans
}

/** Returns a plan and all its parts. */
export const partsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(partsOf)]
