import type pg from 'pg'
import type { AlertSeverity } from '../../schemas/alerts.ts'
import type { AlertSettings } from '../config/alert-settings.ts'

/** Rows that one statement deletes. */
const rowsAtOnce = 10_000

/** Deletes resolved alerts that are past retention, and counts that no window includes any more. */
export async function deleteOldAlerts (
  pool: pg.Pool, { retentionMs, windowMs, countedPerMs }: AlertSettings, now: number
): Promise<void> {
  await pool.query({
    name: 'alerts_delete_old',
    text: `delete from alerts where id in (
      select id from alerts where status = 'resolved' and resolved_at < $1 order by resolved_at limit ${rowsAtOnce})`,
    values: [now - retentionMs]
  })
  await pool.query({
    name: 'alerts_delete_counts', text: 'delete from alert_counts where at < $1',
    values: [now - 2 * (windowMs + countedPerMs)]
  })
}

/** Returns the number of firing alerts of all scopes, by severity. */
export async function countFiring (pool: pg.Pool): Promise<Record<AlertSeverity, number>> {
  const { rows } = await pool.query<{ severity: AlertSeverity | null, count: number }>({
    name: 'alerts_count_firing',
    text: "select severity, count(*) as count from alerts where status = 'firing' group by severity"
  })
  const firing = { critical: 0, warning: 0, info: 0 }
  for (const { severity, count } of rows) if (severity !== null) firing[severity] = count
  return firing
}
