import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { LoginOutcome } from '../../../schemas/auth.ts'
import {
  inviteList, type Invite, type InviteAccept, type InviteCreate, type InviteCreated, type InviteQuery
} from '../../../schemas/people.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import type { Login } from '../auth/login.ts'
import { mailedInvite, newOneTimeToken, oneTimeHash } from '../auth/one-time-tokens.ts'
import { networkOf } from '../auth/network.ts'
import { hashPassword } from '../auth/passwords.ts'
import { applicationsWith } from '../access/permissions.ts'
import { parsePermissions, permissionsOfRole, PermissionSet } from '../access/permission-set.ts'
import { isJwt, type Principal } from '../access/principal.ts'
import { grantsOf } from '../auth/sessions.ts'
import type { SignInMethods } from '../auth/sign-in-methods.ts'
import { lockSuperAdmins, insertUser, type Users } from '../auth/users.ts'
import { ForbiddenError, NotFoundError } from '../../errors.ts'
import { randomId } from '../../foundation/ids.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Links } from '../mail/links.ts'
import { isValue } from '../../foundation/lists/filters.ts'
import { List, foldedText, number, text } from '../../foundation/lists/list.ts'
import { readPage } from '../../foundation/lists/read-page.ts'
import type { PageOf } from '../../foundation/paging.ts'
import { userExists } from './people.ts'
import { authorizeAssignment, insertAssignment } from './role-assignments.ts'
import { requireRole } from './roles.ts'

const inviteMs = 7 * 24 * 3_600_000

export interface InvitesOptions {
  db: Kysely<Database>
  users: Users
  login: Login
  mailer: Mailer
  links: Links
  methods: Pick<SignInMethods, 'requirePasswords'>
  onGrantsChanged: () => void
}

interface InviteRow {
  id: string
  email: string
  role_id: string
  role: string
  application_id: string | null
  invited_by: string | null
  key_id: string | null
  given: string[] | null
  created_at: number
  expires_at: number
}

export type Invites = ReturnType<typeof createInvites>

/**
 * Invites grant a role to the owner of an email address. The sender must hold all permissions of the role when the
 * invite is sent, and again when it is accepted.
 */
export function createInvites ({ db, users, login, mailer, links, methods, onGrantsChanged }: InvitesOptions) {
  const select = (db: Kysely<Database>) =>
    db.selectFrom('invites as i').innerJoin('roles as r', 'r.id', 'i.role_id')
      .select([
        'i.id', 'i.email', 'i.role_id', 'r.name as role', 'i.application_id', 'i.invited_by', 'i.key_id', 'i.given',
        'i.created_at', 'i.expires_at'
      ])
      .where('i.expires_at', '>', Date.now())

  return {
    /** Returns a page of open invites. */
    async list (principal: Principal, { applicationId, roleId, ...query }: InviteQuery): Promise<PageOf<Invite>> {
      const visible = applicationsWith(principal, 'invites:read')
      return await readPage(db, list, query, {
        from: select(db),
        filters: [
          visible === 'all' ? undefined : sql<boolean>`i.application_id = any(${visible})`,
          isValue('i.application_id', applicationId), isValue('i.role_id', roleId)
        ],
        toItem: toInvite
      })
    },

    /**
     * Creates an invite and mails it. The token is returned only if the sender may manage all users, or if no mail is
     * configured: with it, other senders could find out whether the address has an account. Throws NotFoundError,
     * ForbiddenError `PERMISSION_NOT_HELD`, `OIDC_ONLY`.
     */
    async create (
      principal: Principal, { email, roleId, applicationId }: InviteCreate, by: Origin
    ): Promise<InviteCreated> {
      methods.requirePasswords()
      const seesToken = !mailer.isConfigured || applicationsWith(principal, 'invites:create') === 'all'
      const { token, tokenHash } = newOneTimeToken(seesToken ? 'invite_' : mailedInvite)
      const now = Date.now()
      const invite = await db.transaction().execute(async trx => {
        const { name, set } = await authorizeAssignment(trx, principal, { roleId, applicationId }, 'invites:create')
        await trx.deleteFrom('invites').where('expires_at', '<=', now).execute()
        const row = await trx.insertInto('invites').values({
          id: randomId('inv'),
          email,
          role_id: roleId,
          application_id: applicationId ?? null,
          token_hash: tokenHash,
          invited_by: principal.kind === 'session' ? principal.userId : null,
          key_id: isJwt(principal) ? principal.keyId : null,
          given: set.toStrings(),
          created_at: now,
          expires_at: now + inviteMs
        }).returningAll().executeTakeFirstOrThrow()
        const invite = toInvite({ ...row, role: name })
        await record(trx, by, { action: 'invite.created', resourceId: row.id, place: invite, after: invite })
        return invite
      })
      const url = links.to('accept-invite', token)
      mailer.send({
        to: email, kind: 'invite', subject: 'You are invited to the Realtime Platform', link: url, lines: [
        `You are invited as ${invite.role}. Accept it here, within seven days:`
        ]
      })
      return { ...invite, ...(seesToken && { token, url }) }
    },

    /** Withdraws an invite. Throws NotFoundError `INVITE_NOT_FOUND`. */
    async remove (principal: Principal, id: string, by: Origin): Promise<void> {
      await db.transaction().execute(async trx => {
        const visible = applicationsWith(principal, 'invites:delete')
        const row = await select(trx).where('i.id', '=', id).executeTakeFirst()
        if (
          row === undefined ||
          (visible !== 'all' && (row.application_id === null || !visible.includes(row.application_id)))
        ) {
          throw new NotFoundError('INVITE_NOT_FOUND', `Invite not found: ${id}`)
        }
        await trx.deleteFrom('invites').where('id', '=', id).execute()
        await record(trx, by, {
          action: 'invite.withdrawn', resourceId: id, place: toInvite(row), before: toInvite(row)
        })
      })
    },

    /**
     * Creates the user and logs them in. If the address already has a user, `password` must be theirs, and the role is
     * added. Throws ForbiddenError `INVITE_INVALID`, UnauthorizedError `LOGIN_FAILED`, RateLimitError.
     */
    async accept ({ token, name, password }: InviteAccept, visitor: Origin): Promise<LoginOutcome> {
      methods.requirePasswords()
      const tokenHash = oneTimeHash(token)
      const open = await select(db).where('i.token_hash', '=', tokenHash).executeTakeFirst()
      if (open === undefined) throw invalid()
      const known = await users.findByEmail(open.email)
      const proven = known && await login.requirePassword(open.email, password, visitor)
      const passwordHash = proven?.passwordHash ??
        await hashPassword(password, { owner: networkOf(visitor.address ?? ''), kind: 'other' })
      const user = await db.transaction().execute(async trx => {
        await lockSuperAdmins(trx)
        const { numDeletedRows } = await trx.deleteFrom('invites').where('token_hash', '=', tokenHash)
          .executeTakeFirstOrThrow()
        if (numDeletedRows !== 1n || !await isStillGiven(trx, open)) throw invalid()
        // A sender who has seen the token may have accepted the invite.
        const passwordSetBy = token.startsWith(mailedInvite) ? 'owner' : 'other'
        const user = proven?.user ?? await insertUser(trx, { name, email: open.email, passwordHash, passwordSetBy })
        if (user === undefined) throw userExists(open.email)
        await insertAssignment(trx, user.id, { roleId: open.role_id, applicationId: open.application_id })
        await record(trx, asUser(visitor, user), {
          action: 'invite.accepted', resourceId: open.id, place: toInvite(open),
          after: { ...toInvite(open), userId: user.id }
        })
        return user
      })
      onGrantsChanged()
      return await login.enter({ user, passwordHash }, visitor)
    }
  }
}

const list = new List(inviteList, {
  columns: {
    createdAt: number('i.created_at'), email: foldedText('i.email'), expiresAt: number('i.expires_at'),
    role: text('r.name')
  },
  identity: [text('i.id')]
})

/**
 * Returns whether the sender may still grant the role as it is now. A user must still be able to send the invite. A
 * token's permissions cannot be looked up later, so its signing key must not be revoked and the role must not have
 * grown.
 */
async function isStillGiven (trx: Kysely<Database>, invite: InviteRow): Promise<boolean> {
  const role = await requireRole(trx, invite.role_id)
  const set = permissionsOfRole({ name: role.name, isBuiltIn: role.built_in, permissions: role.permissions })
  const held = invite.invited_by !== null
    ? await heldByUser(trx, invite.invited_by, invite.application_id)
    : await heldByToken(trx, invite)
  return held.covers(invite.application_id === null ? set : set.withinApplication())
}

/** Returns the sender's permissions where the role would apply, or none if the sender may no longer invite there. */
async function heldByUser (
  trx: Kysely<Database>, userId: string, applicationId: string | null
): Promise<PermissionSet> {
  const grants = await grantsOf(trx, userId)
  const held = applicationId === null
    ? grants?.everywhere
    : grants?.byApplication.get(applicationId) ?? grants?.everywhere
  return held?.allows('invites:create') === true ? held : PermissionSet.none
}

async function heldByToken (trx: Kysely<Database>, { key_id: keyId, given }: InviteRow): Promise<PermissionSet> {
  const key = await trx.selectFrom('signing_keys').select('id').where('id', '=', keyId).where('revoked_at', 'is', null)
    .executeTakeFirst()
  return key === undefined ? PermissionSet.none : parsePermissions(given ?? [])
}

const invalid = () =>
  new ForbiddenError('INVITE_INVALID', 'The invite is unknown, used, withdrawn or expired. Ask for a new one')

const toInvite = (row: InviteRow): Invite => ({
  id: row.id,
  email: row.email,
  roleId: row.role_id,
  role: row.role,
  applicationId: row.application_id,
  invitedBy: row.invited_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at
})
