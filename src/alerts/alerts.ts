import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import { alertList, type Alert, type AlertQuery } from '../../schemas/alerts.ts'
import type { Scope } from '../../schemas/scope.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import { List, nullableNumber, number, text } from '../foundation/lists/list.ts'
import { readPage } from '../foundation/lists/read-page.ts'
import type { PageOf } from '../foundation/paging.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { record } from '../identity/audit/record.ts'
import { toAlert } from './alert-rows.ts'

/** Lists and acknowledges the alerts of a scope that have fired. */
export function createAlerts ({ db }: { db: Kysely<Database> }) {
  const ofScope = (from: Kysely<Database>, { applicationId, environment }: Scope) =>
    from.selectFrom('alerts').selectAll().where('application_id', '=', applicationId)
      .where('environment', '=', environment).where('status', '<>', 'pending')

  return {
    list: async (scope: Scope, { status, severity, rule, ...query }: AlertQuery): Promise<PageOf<Alert>> =>
      await readPage(db, list, query, {
        from: ofScope(db, scope),
        filters: [
          status === undefined ? undefined : sql<boolean>`status = ${status}`,
          severity === undefined ? undefined : sql<boolean>`severity = ${severity}`,
          rule === undefined ? undefined : sql<boolean>`rule = ${rule}`
        ],
        toItem: toAlert
      }),

    /**
     * Records that somebody takes care of a firing alert. Only the first acknowledgement counts; later ones return it.
     * Throws NotFoundError `ALERT_NOT_FOUND`, and ConflictError `ALERT_RESOLVED` if the alert was resolved before
     * anybody acknowledged it.
     */
    async acknowledge (scope: Scope, id: string, by: Origin): Promise<Alert> {
      return await db.transaction().execute(async trx => {
        const row = await ofScope(trx, scope).where('id', '=', id).forUpdate().executeTakeFirst()
        if (row === undefined) throw new NotFoundError('ALERT_NOT_FOUND', `Alert not found: ${id}`)
        if (row.acknowledged_at !== null) return toAlert(row)
        if (row.status === 'resolved') {
          throw new ConflictError('ALERT_RESOLVED', `The alert is resolved already: ${id}`)
        }
        const changed = await trx.updateTable('alerts').set({ acknowledged_by: by.id, acknowledged_at: Date.now() })
          .where('id', '=', id).returningAll().executeTakeFirstOrThrow()
        const { acknowledgedBy, acknowledgedAt, rule, details: { target } } = toAlert(changed)
        await record(trx, by, {
          action: 'alert.acknowledged', resourceId: id, place: scope,
          after: { rule, target: target.id, acknowledgedBy, acknowledgedAt }
        })
        return toAlert(changed)
      })
    }
  }
}
export type Alerts = ReturnType<typeof createAlerts>

/** Alerts that have fired have a start. */
const list = new List(alertList, {
  columns: {
    startedAt: number('started_at'),
    resolvedAt: nullableNumber('resolved_at'),
    rule: text('rule'),
    target: text('target'),
    summary: text('summary')
  },
  identity: [text('id')]
})
