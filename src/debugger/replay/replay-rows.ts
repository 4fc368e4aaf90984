import { sql, type Kysely, type Selectable } from 'kysely'
import type pg from 'pg'
import type { Database, ReplaysTable } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { isFreeSql, type Lease } from '../../cluster/leases.ts'
import { system } from '../../identity/audit/origin.ts'
import { record } from '../../identity/audit/record.ts'

/** How long after its end the nodes still send their part of a replay. */
const lingerMs = 30_000
const replaysAtOnce = 500

export interface ReplayRowsOptions {
  db: Kysely<Database>
  pool: pg.Pool
  node: string
  /** The clock that all nodes share. */
  now: () => number
}

/** A replay without its list of events, which can be long. */
export interface ReplayRow
  extends Omit<Selectable<ReplaysTable>, 'events' | 'lease_owner' | 'lease_expires_at' | 'lease_until'> {
  /** Whether no node held the lease when the row was read. */
  is_free: boolean
}

/** The place of an event in the list of a replay. */
export type ListedEvent = [topic: string, offset: number, id: string]

export const scopeOf = (row: ReplayRow): Scope => ({ applicationId: row.application_id, environment: row.environment })

/**
 * The statements that carry out a replay. Only the holder of the lease writes the state and the position: each of these
 * writes requires its fence. Every node adds to the numbers of events that its own sockets were sent.
 */
export function createReplayRows ({ db, pool, node, now }: ReplayRowsOptions) {
  /** The owner counts as well as the fence: a node from before migration 0021 takes a lease without a new fence. */
  const updateLed = ({ key: id, fence }: Lease, to: Kysely<Database> = db) =>
    to.updateTable('replays').where('id', '=', id).where('fence', '=', fence).where('lease_owner', '=', node)
      .where('finished_at', 'is', null)

  return {
    /** Returns the replays of all tenants that are open or have ended recently. */
    current: (): Promise<ReplayRow[]> =>
      db.selectFrom('replays').select(columns)
        .select(sql<boolean>`${sql.raw(isFreeSql)}`.as('is_free'))
        .where(eb => eb.or([eb('finished_at', 'is', null), eb('finished_at', '>', now() - lingerMs)]))
        .orderBy('created_at').limit(replaysAtOnce).execute(),

    async listedEvents (id: string): Promise<ListedEvent[]> {
      const row = await db.selectFrom('replays').select('events').where('id', '=', id).executeTakeFirst()
      return JSON.parse(row?.events ?? '[]') as ListedEvent[]
    },

    /** Returns the row as the previous leader left it; undefined if the lease is lost or the replay has ended. */
    begin: (lease: Lease): Promise<ReplayRow | undefined> =>
      updateLed(lease)
        .set({ state: 'running', started_at: sql<number>`coalesce(started_at, ${now()}::bigint)` })
        .returning([...columns, sql<boolean>`false`.as('is_free')]).executeTakeFirst(),

    /**
     * Advances the position, and creates webhook deliveries in the same transaction. Returns their number; undefined
     * when the lease is lost or the replay has ended.
     */
    async advance (
      { key: id, fence }: Lease, to: { position: number, done: number },
      createDeliveries: (client: pg.ClientBase) => Promise<number>
    ): Promise<number | undefined> {
      const client = await pool.connect()
      try {
        await client.query('begin')
        // Runs first: a node that has lost the lease waits for the current holder here, and creates no deliveries.
        const { rowCount } = await client.query({
          name: 'replay_advance', text: advanceSql, values: [id, fence, node, to.position, to.done]
        })
        const isLed = rowCount === 1
        const deliveries = isLed ? await createDeliveries(client) : 0
        if (deliveries > 0) {
          await client.query('update replays set webhook_deliveries = webhook_deliveries + $2 where id = $1', [
            id, deliveries
          ])
        }
        await client.query('commit')
        client.release()
        return isLed ? deliveries : undefined
      } catch (error) {
        client.release(true)
        throw error
      }
    },

    /** Adds what this node's sockets were sent. Every node does so, without the lease. */
    async addSent (id: string, { sent, passedOver }: { sent: number, passedOver: number }): Promise<void> {
      await db.updateTable('replays').set({ sent: sql`sent + ${sent}`, passed_over: sql`passed_over + ${passedOver}` })
        .where('id', '=', id).execute()
    },

    async finish (lease: Lease): Promise<void> {
      await updateLed(lease).set({ state: 'done', finished_at: now(), missing: sql<number>`total - done` }).execute()
    },

    /** Cancels a replay whose requester has lost the right to it. */
    async cancel (lease: Lease, row: ReplayRow): Promise<void> {
      await db.transaction().execute(async trx => {
        const cancelled = await updateLed(lease, trx).set({
          state: 'cancelled', finished_at: now(),
          message: 'The API key or user that requested the replay has ended, or has lost a permission for it'
        }).returning(['state', 'done']).executeTakeFirst()
        if (cancelled === undefined) return
        await record(trx, system, {
          action: 'replay.cancelled', resourceId: row.id, place: scopeOf(row),
          before: { state: row.state, done: row.done }, after: cancelled
        })
      })
    },

    async fail (lease: Lease): Promise<void> {
      await updateLed(lease).set({
        state: 'failed', finished_at: now(), message: 'The replay failed; see the log of the server for the reason'
      }).execute()
    }
  }
}
export type ReplayRows = ReturnType<typeof createReplayRows>

const advanceSql = `
  update replays set position = $4, done = $5
  where id = $1 and fence = $2 and lease_owner = $3 and finished_at is null`

const columns = [
  'id',
  'application_id',
  'environment',
  'target',
  'webhook_id',
  'topic',
  'from_offset',
  'to_offset',
  'from_time',
  'to_time',
  'rate_per_second',
  'total',
  'position',
  'done',
  'state',
  'sent',
  'passed_over',
  'missing',
  'webhook_deliveries',
  'requested_by',
  'message',
  'created_at',
  'started_at',
  'finished_at',
  'fence'
] as const
