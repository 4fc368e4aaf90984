import { sql, type Kysely, type Selectable } from 'kysely'
import type { AuditLogTable, Database } from '../../../db/tables.ts'
import type { AuditEntry, AuditQuery } from '../../../schemas/audit.ts'
import { applicationsWith } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import { decodeCursor, toPage, type PageOf } from '../../foundation/paging.ts'

export type AuditLog = ReturnType<typeof createAuditLog>

/** Reads the audit log. A principal with `audit:read` for some applications sees only their entries. */
export function createAuditLog ({ db }: { db: Kysely<Database> }) {
  return {
    /** Returns a page of entries, newest first. */
    async list (
      principal: Principal,
      { limit = 100, cursor, actor, action, resource, resourceId, applicationId, from, to }: AuditQuery
    ): Promise<PageOf<AuditEntry>> {
      let query = db.selectFrom('audit_log').selectAll().orderBy('sequence', 'desc').limit(limit + 1)
      const visible = applicationsWith(principal, 'audit:read')
      if (visible !== 'all') query = query.where(sql<boolean>`application_id = any(${visible})`)
      if (applicationId !== undefined) query = query.where('application_id', '=', applicationId)
      if (actor !== undefined) query = query.where('actor_id', '=', actor)
      if (action !== undefined) query = query.where('action', '=', action)
      if (resource !== undefined) query = query.where('resource', '=', resource)
      if (resourceId !== undefined) query = query.where('resource_id', '=', resourceId)
      if (from !== undefined) query = query.where('at', '>=', from)
      if (to !== undefined) query = query.where('at', '<', to)
      if (cursor !== undefined) query = query.where('sequence', '<', Number(decodeCursor(cursor, ['number'])[0]))
      return toPage(await query.execute(), limit, toAuditEntry, row => [row.sequence])
    }
  }
}

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
