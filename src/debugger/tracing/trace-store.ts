import type pg from 'pg'
import { textArray, jsonArray } from '../../../db/arrays.ts'
import { isDatabaseUnavailable } from '../../errors.ts'
import { ensurePartitions } from '../../events/partitions.ts'
import type { EventTracesTable } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'

export interface RunRow {
  id: string
  createdAt: number
  scope: Scope
  topic: string
  source: string
  outcome: EventTracesTable['outcome']
  firstOffset: number | null
  events: number
  /** JSON text. */
  detail: string
}

export interface PartRow { id: string, createdAt: number, scope: Scope, detail: string }

/** Rows that are stored together, with their numbers. */
export interface Chunk { runs: RunRow[], parts: PartRow[], from: number }

const appendSql = `
  with parts as (
    insert into event_trace_parts (id, created_at, node, n, application_id, environment, detail)
    select id, created_at, $1, n, application_id, environment, detail
    from unnest($11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::text[], $16::json[])
      as p(id, created_at, n, application_id, environment, detail)
    on conflict do nothing)
  insert into event_traces (id, created_at, node, n, application_id, environment, topic, source, outcome,
    first_offset, events, detail)
  select id, created_at, $1, n, application_id, environment, topic, source, outcome, first_offset, events, detail
  from unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $17::int[], $18::json[])
    as r(id, created_at, n, application_id, environment, topic, source, outcome, first_offset, events, detail)
  on conflict do nothing`

/**
 * Stores traces. A node numbers its rows and runs one statement at a time, so the visible rows of a node have no gap
 * below the last number. Readers rely on this to continue where they stopped.
 */
export class TraceStore {
  readonly #pool: pg.Pool
  readonly node: string
  #n = 0

  constructor ({ pool, node }: { pool: pg.Pool, node: string }) {
    this.#pool = pool
    this.node = node
  }

  /** Assigns numbers to rows. */
  number (runs: RunRow[], parts: PartRow[]): Chunk {
    const from = this.#n
    this.#n += runs.length + parts.length
    return { runs, parts, from }
  }

  /**
   * Appends a chunk. Call it in the order of the numbers, each time after the previous chunk was stored. A chunk may be
   * appended again if the result is unknown.
   */
  async append ({ runs, parts, from }: Chunk): Promise<void> {
    const values = [
      this.node,
      textArray(runs.map(({ id }) => id)),
      runs.map(({ createdAt }) => createdAt),
      runs.map((_run, i) => from + i + 1),
      textArray(runs.map(({ scope }) => scope.applicationId)),
      textArray(runs.map(({ scope }) => scope.environment)),
      textArray(runs.map(({ topic }) => topic)),
      textArray(runs.map(({ source }) => source)),
      textArray(runs.map(({ outcome }) => outcome)),
      runs.map(({ firstOffset }) => firstOffset),
      textArray(parts.map(({ id }) => id)),
      parts.map(({ createdAt }) => createdAt),
      parts.map((_part, i) => from + runs.length + i + 1),
      textArray(parts.map(({ scope }) => scope.applicationId)),
      textArray(parts.map(({ scope }) => scope.environment)),
      jsonArray(parts.map(({ detail }) => detail)),
      runs.map(({ events }) => events),
      jsonArray(runs.map(({ detail }) => detail))
    ]
    try {
      await this.#pool.query({ name: 'traces_append', text: appendSql, values })
    } catch (error) {
      if ((error as { code?: string }).code !== noPartition) throw error
      const oldest = [...runs, ...parts].reduce((least, { createdAt }) => Math.min(least, createdAt), Date.now())
      for (const time of new Set([oldest, Date.now()])) await this.ensurePartitions(time)
      await this.#pool.query({ name: 'traces_append', text: appendSql, values })
    }
  }

  async ensurePartitions (now: number): Promise<void> {
    await ensurePartitions(this.#pool, now, 'event_traces')
    await ensurePartitions(this.#pool, now, 'event_trace_parts')
  }

  /** Whether a retry after this error can succeed. */
  isPassing (error: unknown): boolean {
    return isDatabaseUnavailable(error) ||
      ['40P01', '40001', '55P03', '57014'].includes((error as { code?: string }).code ?? '')
  }
}

/** check_violation: no partition accepts the row. */
const noPartition = '23514'
