import type { Kysely, Selectable } from 'kysely'
import type { ApplicationUsageTable, Database } from '../../db/tables.ts'
import type { Usage, UsageQuery } from '../../schemas/quotas.ts'
import { invalid } from '../foundation/json.ts'
import type { Principal } from '../identity/access/principal.ts'
import { requireReadable } from './quotas.ts'

const hourMs = 3_600_000
const spans = {
  hour: { ms: hourMs, defaultMs: 24 * hourMs },
  day: { ms: 24 * hourMs, defaultMs: 30 * 24 * hourMs }
} as const
/** The most periods of one answer: as many as are kept. */
const periodsMax = { hour: 744, day: 400 } as const

export interface UsageReaderOptions {
  db: Kysely<Database>
  now: () => number
  /** Stores what this node has counted for an application, so that a reader finds its own requests. */
  flush (applicationId: string): Promise<void>
}

/** Reads the usage of applications by hour or day. */
export function createUsageReader ({ db, now, flush }: UsageReaderOptions) {
  return {
    /** Returns the periods in which there was something to count, oldest first. */
    async read (principal: Principal, applicationId: string, query: UsageQuery): Promise<Usage[]> {
      const { to = now(), by = 'day' } = query
      const span = spans[by]
      const from = query.from ?? Math.max(0, to - span.defaultMs)
      if (from > to) throw invalid('/from', 'must not be later than /to')
      const first = from - from % span.ms
      if (to - first > periodsMax[by] * span.ms) {
        throw invalid('/from', `must be at most ${periodsMax[by]} periods before /to`)
      }
      await requireReadable(db, principal, applicationId)
      await flush(applicationId)
      const rows = await db.selectFrom('application_usage').selectAll()
        .where('application_id', '=', applicationId).where('span', '=', by)
        .where('starts_at', '>=', first).where('starts_at', '<', to).orderBy('starts_at').execute()
      return rows.map(toUsage)
    }
  }
}
export type UsageReader = ReturnType<typeof createUsageReader>

const toUsage = (row: Selectable<ApplicationUsageTable>): Usage => ({
  from: row.starts_at,
  publishes: row.publishes,
  bytesWritten: row.bytes_written,
  deliveries: row.deliveries,
  socketsPeak: row.sockets_peak,
  subscriptionsPeak: row.subscriptions_peak,
  bytesStored: row.bytes_stored,
  documents: row.documents,
  webhooks: row.webhooks
})
