import type { Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Origin } from '../identity/audit/origin.ts'
import { recordAll } from '../identity/audit/record.ts'

/**
 * Takes, with what is about to be deleted, the roles and the invites that hang on it: the database would do so by itself,
 * but without a word in the audit log. Of a role, an application, or the user who sent the invites.
 */
export async function takeWith (trx: Kysely<Database>, by: Origin, gone: { roleId: string } | { applicationId: string } | { inviterId: string }): Promise<void> {
  const column = 'roleId' in gone ? 'role_id' : 'application_id'
  const id = 'roleId' in gone ? gone.roleId : 'applicationId' in gone ? gone.applicationId : gone.inviterId
  const names = new Map((await trx.selectFrom('roles').select(['id', 'name']).execute()).map(role => [role.id, role.name]))
  const invites = await trx.deleteFrom('invites').where('inviterId' in gone ? 'invited_by' : column, '=', id).returningAll().execute()
  const assignments = 'inviterId' in gone ? [] : await trx.deleteFrom('role_assignments').where(column, '=', id).returningAll().execute()
  await recordAll(trx, by, [
    ...invites.map(row => ({
      action: 'invite.withdrawn' as const,
      resourceId: row.id,
      place: { applicationId: row.application_id },
      before: { id: row.id, email: row.email, roleId: row.role_id, role: names.get(row.role_id), applicationId: row.application_id, invitedBy: row.invited_by }
    })),
    ...assignments.map(row => ({
      action: 'user.role_removed' as const,
      resourceId: row.user_id,
      place: { applicationId: row.application_id },
      before: { roleId: row.role_id, applicationId: row.application_id, role: names.get(row.role_id) }
    }))
  ])
}
