import type { Pgoutput } from 'pg-logical-replication'
import { tableText } from '../mappings/table-name.ts'

const tablesMax = 10
const reportEveryMs = 1000

/** The TRUNCATEs of a stream since the last report. */
export interface Truncates {
  count: number
  /** Some of the tables, by name. */
  tables: string[]
  hasMoreTables: boolean
  /** The commit of the last one. */
  lsn: string
}

/**
 * Reports the first TRUNCATE at once, and those that follow shortly after in one report: a flood does not load the
 * thread that logs them.
 */
export class TruncateReports {
  readonly #send: (truncates: Truncates) => Promise<unknown>
  #pending: Truncates | undefined
  #isWaiting = false
  #isStopped = false
  #timer: NodeJS.Timeout | undefined

  constructor (send: (truncates: Truncates) => Promise<unknown>) {
    this.#send = send
  }

  add ({ relations }: Pick<Pgoutput.MessageTruncate, 'relations'>, lsn: string): void {
    const { count, tables, hasMoreTables } = this.#pending ?? { count: 0, tables: [], hasMoreTables: false }
    const names = [...new Set([...tables, ...relations.slice(0, tablesMax).map(tableText)])]
    this.#pending = {
      count: count + 1,
      tables: names.slice(0, tablesMax),
      hasMoreTables: hasMoreTables || names.length > tablesMax || relations.length > tablesMax,
      lsn
    }
    if (!this.#isWaiting) this.#report()
  }

  /** Reports what is pending. */
  stop (): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#report()
  }

  #report (): void {
    const truncates = this.#pending
    this.#pending = undefined
    this.#isWaiting = truncates !== undefined
    if (truncates === undefined) return
    this.#send(truncates).catch(() => {}).finally(() => {
      if (!this.#isStopped) this.#timer = setTimeout(() => this.#report(), reportEveryMs)
    })
  }
}
