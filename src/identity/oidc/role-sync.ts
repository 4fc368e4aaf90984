import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { MappedRole, OidcSettings } from '../../config/oidc-settings.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { superAdminRole } from '../auth/users.ts'
import { plainText } from '../../foundation/plain-text.ts'
import type { AccountRow } from '../people/account-rows.ts'
import { insertAssignment } from '../people/role-assignments.ts'
import { rolesFor, valuesOf } from './role-claim.ts'

/** A role that the provider grants, and that exists. */
export interface GrantedRole { roleId: string, name: string, applicationId: string | null }

export interface RoleSyncOptions {
  db: Kysely<Database>
  settings: Pick<OidcSettings, 'issuer' | 'roleClaim' | 'roleMap'>
  log: { warn (fields: object, message: string): void }
}

export type RoleSync = ReturnType<typeof createRoleSync>

/** Gives users the roles that `OIDC_ROLE_MAP` grants for their claims, and no others. */
export function createRoleSync ({ db, settings: { issuer, roleClaim, roleMap }, log }: RoleSyncOptions) {
  /** Returns those of the roles that exist, for applications that exist, and locks them against deletion. */
  async function existing (trx: Kysely<Database>, mapped: readonly MappedRole[]): Promise<GrantedRole[]> {
    const [names, ids] = [mapped.map(({ role }) => role), mapped.flatMap(({ applicationId }) => applicationId ?? [])]
    const roles = await trx.selectFrom('roles').select(['id', 'name']).where(sql<boolean>`name = any(${names})`)
      .orderBy('id').forKeyShare().execute()
    const applications = await trx.selectFrom('applications').select('id').where(sql<boolean>`id = any(${ids})`)
      .orderBy('id').forKeyShare().execute()
    return mapped.flatMap(({ role, applicationId }) => {
      const found = roles.find(({ name }) => name === role)
      const isThere = applicationId === null || applications.some(({ id }) => id === applicationId)
      if (found !== undefined && isThere) return [{ roleId: found.id, name: role, applicationId }]
      log.warn({ variable: 'OIDC_ROLE_MAP', role, applicationId }, 'oidc.role_ignored')
      return []
    })
  }

  return {
    /** Logs the roles of `OIDC_ROLE_MAP` that do not exist. They may be created later, so the server starts. */
    async reportUnknown (): Promise<void> {
      const names = [...new Set([...roleMap.values()].flat().map(({ role }) => role))]
      const known = await db.selectFrom('roles').select('name').where(sql<boolean>`name = any(${names})`).execute()
      const unknown = names.filter(name => !known.some(role => role.name === name))
      if (unknown.length > 0) {
        log.warn({ variable: 'OIDC_ROLE_MAP', roles: unknown.map(name => plainText(name, 100)) }, 'oidc.role_unknown')
      }
    },

    async grantedBy (trx: Kysely<Database>, claims: Readonly<Record<string, unknown>>): Promise<GrantedRole[]> {
      return await existing(trx, rolesFor(valuesOf(claims, roleClaim), roleMap))
    },

    /**
     * Replaces all roles of a user. The last super_admin remains one: without any, the platform could be set up again.
     * Returns whether a role was added or removed. Run it after `lockSuperAdmins`.
     */
    async replace (
      trx: Kysely<Database>, user: AccountRow, granted: readonly GrantedRole[], visitor: Origin
    ): Promise<boolean> {
      const by = asUser(visitor, user)
      const details = { issuer }
      let hasChanged = false
      for (const { roleId, name, applicationId } of granted) {
        if (!await insertAssignment(trx, user.id, { roleId, applicationId })) continue
        hasChanged = true
        await record(trx, by, {
          action: 'user.role_assigned', resourceId: user.id, place: { applicationId },
          after: { roleId, applicationId, role: name }, details
        })
      }
      for (const { roleId, name, applicationId } of user.assignments) {
        if (granted.some(role => role.roleId === roleId && role.applicationId === applicationId)) continue
        if (roleId === superAdminRole && applicationId === null && !await hasOtherSuperAdmin(trx, user.id)) {
          log.warn({ userId: user.id }, 'oidc.last_super_admin_kept')
          continue
        }
        hasChanged = true
        await sql`
          delete from role_assignments where user_id = ${user.id} and role_id = ${roleId}
            and application_id is not distinct from ${applicationId}`.execute(trx)
        await record(trx, by, {
          action: 'user.role_removed', resourceId: user.id, place: { applicationId },
          before: { roleId, applicationId, role: name }, details
        })
      }
      return hasChanged
    }
  }
}

async function hasOtherSuperAdmin (trx: Kysely<Database>, userId: string): Promise<boolean> {
  const other = await trx.selectFrom('role_assignments').select('user_id').where('role_id', '=', superAdminRole)
    .where('application_id', 'is', null).where('user_id', '<>', userId).limit(1).executeTakeFirst()
  return other !== undefined
}
