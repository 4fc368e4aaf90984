import type pg from 'pg'

/** The right of one node to do the work of a row alone, until it expires. */
export interface Lease {
  /** The key of the row. */
  readonly key: string
  /** Grows with every lease of the row. Every write of the work requires it, so a holder of an older one is refused. */
  readonly fence: number
}

export interface LeasesOptions {
  pool: pg.Pool
  /**
   * The table whose rows are leased. It has the columns `lease_owner text`, `lease_expires_at timestamptz not null
   * default '-infinity'` and `fence bigint not null default 0`.
   */
  table: string
  /** Its primary key, of type text. */
  keyColumn: string
  /** The id of this node. */
  node: string
  leaseMs: number
  /**
   * Whether an expired lease may be renewed as long as no node has taken it. Its holder then continues after an outage
   * of the database, where it would otherwise start over under a new fence.
   */
  mayRenewLate?: boolean
}

/** True in SQL for a row that may be leased. */
export const isFreeSql = '(lease_owner is null or lease_expires_at < clock_timestamp())'

/**
 * Leases that let at most one node do the work of a row. Only the database's clock counts, so nodes whose own clocks
 * are wrong do not take each other's work.
 *
 * A holder may not notice in time that its lease has ended, for example if it was suspended. Its writes must
 * therefore depend on the fence: `update … where id = $1 and fence = $2`, or a lock on the leased row with that
 * condition at the start of the transaction.
 *
 * It does not fit work that is claimed in bulk, such as the deliveries of webhooks
 * (src/webhooks/dispatch/claim.ts), nor work that ends with one transaction, for which an advisory lock of the
 * transaction is enough.
 */
export function createLeases (
  { pool, table, keyColumn, node, leaseMs, mayRenewLate = false }: LeasesOptions
) {
  const leases = {
    leaseMs,

    /** Returns undefined while another lease of the row lasts, also if this node holds it. */
    async take (key: string): Promise<Lease | undefined> {
      const { rows: [row] } = await pool.query<{ fence: number }>({
        name: `lease_take_${table}`,
        text:
          `update ${table} set lease_owner = $2, fence = fence + 1,
            lease_expires_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
          where ${keyColumn} = $1 and ${isFreeSql} returning fence`,
        values: [key, node, leaseMs]
      })
      return row && { key, fence: row.fence }
    },

    /** Extends a lease. Returns false if it has ended: stop the work. */
    async renew (lease: Lease): Promise<boolean> {
      return (await leases.renewAll([lease])).has(lease.key)
    },

    /** Extends several leases. Returns the keys of those that have not ended. */
    async renewAll (held: readonly Lease[]): Promise<Set<string>> {
      if (held.length === 0) return new Set()
      const { rows } = await pool.query<{ key: string }>({
        name: `lease_renew_${table}`,
        text:
          `update ${table} set lease_expires_at = clock_timestamp() + $4::float8 * interval '1 millisecond'
          from unnest($1::text[], $2::bigint[]) as held (held_key, held_fence)
          where ${keyColumn} = held_key and fence = held_fence and lease_owner = $3
            and ($5 or lease_expires_at >= clock_timestamp())
          returning ${keyColumn} as key`,
        values: [held.map(({ key }) => key), held.map(({ fence }) => fence), node, leaseMs, mayRenewLate]
      })
      return new Set(rows.map(({ key }) => key))
    },

    /** Ends a lease, so that another node need not wait until it expires. */
    async release ({ key, fence }: Lease): Promise<void> {
      await pool.query({
        name: `lease_release_${table}`,
        text:
          `update ${table} set lease_owner = null, lease_expires_at = '-infinity'
          where ${keyColumn} = $1 and fence = $2 and lease_owner = $3`,
        values: [key, fence, node]
      })
    }
  }
  return leases
}
export type Leases = ReturnType<typeof createLeases>

/** Leases of work that has no row of its own, by name. The row of a name is created with its first lease. */
export function createNamedLeases ({ pool, ...options }: Omit<LeasesOptions, 'table' | 'keyColumn'>): Leases {
  const leases = createLeases({ pool, table: 'leases', keyColumn: 'name', ...options })
  return {
    ...leases,
    async take (name) {
      await pool.query({
        name: 'lease_name', text: 'insert into leases (name) values ($1) on conflict do nothing', values: [name]
      })
      return await leases.take(name)
    }
  }
}

/** Renewed after this part of its time, a lease survives two renewals that fail. */
const renewAfterPart = 1 / 3

/**
 * The leases that a loop of this node holds. Call `hold` before each piece of work: it takes the lease if it is free
 * and renews it in time.
 */
export class HeldLeases {
  readonly #leases: Leases
  readonly #held = new Map<string, { lease: Lease, renewedAt: number }>()

  constructor (leases: Leases) {
    this.#leases = leases
  }

  /** The keys of the leases that this node holds, or has held until recently. */
  get keys (): string[] { return [...this.#held.keys()] }

  has (key: string): boolean {
    return this.#held.has(key)
  }

  /**
   * Returns undefined while another node holds the lease. After a lease with a new fence, read the row again: another
   * node may have held it in between.
   */
  async hold (key: string): Promise<Lease | undefined> {
    // The interval between renewals is measured from before the request by a clock that nobody sets.
    const now = performance.now()
    const held = this.#held.get(key)
    if (held !== undefined) {
      if (now - held.renewedAt < this.#leases.leaseMs * renewAfterPart) return held.lease
      if (await this.#leases.renew(held.lease)) {
        held.renewedAt = now
        return held.lease
      }
      this.#held.delete(key)
    }
    const lease = await this.#leases.take(key)
    if (lease !== undefined) this.#held.set(key, { lease, renewedAt: now })
    return lease
  }

  /** Releases a lease, if this node holds it. */
  async release (key: string): Promise<void> {
    const held = this.#held.get(key)
    this.#held.delete(key)
    if (held !== undefined) await this.#leases.release(held.lease)
  }

  /** Releases all leases. A failure is ignored: they expire. */
  async releaseAll (): Promise<void> {
    await Promise.allSettled(this.keys.map(key => this.release(key)))
  }
}
