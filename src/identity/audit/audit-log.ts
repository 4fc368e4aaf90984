import { sql, type Kysely, type Selectable } from 'kysely'
import type { AuditLogTable, Database } from '../../../db/tables.ts'
import { auditList, type AuditEntry, type AuditQuery } from '../../../schemas/audit.ts'
import { applicationsWith } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import { isBetween, isValue } from '../../foundation/lists/filters.ts'
import { List, nullableText, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'

export type AuditLog = ReturnType<typeof createAuditLog>

/** Reads the audit log. A principal with `audit:read` for some applications sees only their entries. */
export function createAuditLog ({ db }: { db: Kysely<Database> }) {
  return {
    async list (
      principal: Principal,
      { actor, action, resource, resourceId, applicationId, environment, from, to, ...query }: AuditQuery
    ): Promise<PageOf<AuditEntry>> {
      const visible = applicationsWith(principal, 'audit:read')
      const [only] = visible !== 'all' && visible.length === 1 ? visible : [applicationId]
      // The index for resources is of use only if it need not be searched for each of them.
      const isOne = resource !== undefined && resourceId !== undefined
      const ofResource = [isValue('resource', resource), isValue('resource_id', resourceId)]
      return await readPage(db, list, query, {
        from: db.selectFrom('audit_log').selectAll(),
        where: [isValue('application_id', only), isBetween('at', from, to), ...isOne ? ofResource : []],
        filters: [
          visible === 'all' ? undefined : sql<boolean>`application_id = any(${visible})`,
          isValue('application_id', applicationId),
          ...isOne ? [] : ofResource,
          isValue('actor_id', actor), isValue('action', action), isValue('environment', environment)
        ],
        toItem: toAuditEntry
      })
    }
  }
}

const list = new List(auditList, {
  columns: {
    at: number('at'), 'actor.name': nullableText('actor_name'), action: text('action'),
    resourceId: nullableText('resource_id')
  },
  identity: [number('sequence')]
})

const toAuditEntry = (row: Selectable<AuditLogTable>): AuditEntry => ({
  id: row.id,
  at: row.at,
  actor: { kind: row.actor_kind as AuditEntry['actor']['kind'], id: row.actor_id, name: row.actor_name },
  action: row.action,
  resource: row.resource,
  resourceId: row.resource_id,
  applicationId: row.application_id,
  environment: row.environment,
  address: row.address,
  userAgent: row.user_agent,
  requestId: row.request_id,
  before: row.before,
  after: row.after
})
