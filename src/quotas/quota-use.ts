import type pg from 'pg'
import { quotaNames, type QuotaName, type Quotas } from '../../schemas/quotas.ts'
import { toQuotas, type QuotaRow } from './quota-limits.ts'

/** How much of a quota an application uses. */
export interface QuotaUse {
  applicationId: string
  quota: QuotaName
  limit: number
  used: number
  /** `used` divided by `limit`. Above 1 if more is requested or stored than allowed. */
  fraction: number
}

interface UseRow extends Omit<QuotaRow, 'changed_at'> {
  sockets_used: number
  subscriptions_used: number
  publishes_used: number
  bytes_used: number
  documents_used: number
  webhooks_used: number
}

const useSql = `
  with alive as materialized (
    select id from quota_nodes where seen_at > clock_timestamp() - interval '10 seconds'),
  open as (
    select application_id, sum(sockets)::int as sockets, sum(subscriptions)::int as subscriptions,
      sum(publishes_per_second) as publishes
    from quota_node_counts where node_id in (select id from alive) group by 1),
  stored as (select application_id, sum(bytes) as bytes from application_bytes group by 1),
  hooks as (select application_id, count(*)::int as webhooks from webhooks group by 1)
  select a.id as application_id, q.publishes_per_second, q.bytes_stored, q.sockets, q.subscriptions, q.webhooks,
    q.documents, coalesce(o.sockets, 0) as sockets_used, coalesce(o.subscriptions, 0) as subscriptions_used,
    coalesce(o.publishes, 0) as publishes_used, coalesce(s.bytes, 0) as bytes_used,
    coalesce(d.documents, 0) as documents_used, coalesce(h.webhooks, 0) as webhooks_used
  from applications a
  left join application_quotas q on q.application_id = a.id
  left join open o on o.application_id = a.id
  left join stored s on s.application_id = a.id
  left join hooks h on h.application_id = a.id
  left join application_documents d on d.application_id = a.id
  where $1 or q.application_id is not null`

/**
 * Returns how much of its quotas each application uses, with one statement for all applications. Omits quotas without a
 * limit. For `publishesPerSecond`, the use is what is requested, refused events included, averaged over the last
 * seconds. The numbers are up to ten seconds old. Crosses tenants on purpose.
 */
export async function readQuotaUse (pool: Pick<pg.Pool, 'query'>, defaults: Quotas): Promise<QuotaUse[]> {
  const hasDefaults = quotaNames.some(name => defaults[name] !== null)
  const { rows } = await pool.query<UseRow>({ name: 'quotas_use', text: useSql, values: [hasDefaults] })
  return rows.flatMap(row => {
    const quotas = toQuotas(row, defaults)
    const used: Record<QuotaName, number> = {
      publishesPerSecond: row.publishes_used,
      bytesStored: row.bytes_used,
      sockets: row.sockets_used,
      subscriptions: row.subscriptions_used,
      webhooks: row.webhooks_used,
      documents: row.documents_used
    }
    return quotaNames.flatMap(quota => {
      const limit = quotas[quota]
      if (limit === null) return []
      const fraction = limit === 0 ? used[quota] > 0 ? 1 : 0 : used[quota] / limit
      return [{ applicationId: row.application_id, quota, limit, used: used[quota], fraction }]
    })
  })
}
