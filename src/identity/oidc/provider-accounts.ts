import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { asUser, type Origin } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { canonicalEmail } from '../auth/email-address.ts'
import { hashOfNoPassword } from '../auth/passwords.ts'
import type { Sessions } from '../auth/sessions.ts'
import { insertUser, lockSuperAdmins } from '../auth/users.ts'
import { ConflictError, ForbiddenError, type PublicError } from '../../errors.ts'
import { placeOf, selectAccounts, toAccount, type AccountRow } from '../people/account-rows.ts'
import type { Notify } from '../people/notify.ts'
import type { Claims } from './provider.ts'
import type { RoleSync } from './role-sync.ts'

export interface ProviderAccountsOptions {
  db: Kysely<Database>
  issuer: string
  roles: RoleSync
  sessions: Pick<Sessions, 'endAllWithin' | 'grantsChanged'>
  notify: Notify
}

export type ProviderAccounts = ReturnType<typeof createProviderAccounts>

/** A result, or why there is none. A refusal may have taken roles from the user, so it is returned after the commit. */
export type Admitted<T> = { admitted: T } | { refusal: PublicError, userId: string | undefined }

/** Without control characters and lone surrogates, which cannot be stored. */
const addressForm = /^[^\s@\p{Cc}\p{Cs}]+@[^\s@\p{Cc}\p{Cs}]+$/u
const [addressLengthMax, nameLengthMax] = [254, 200]

/**
 * The accounts of users of the identity provider. The subject identifies a user, also after a change of their
 * address. At the first sign-in, an account is created, or linked if its address is verified.
 */
export function createProviderAccounts ({ db, issuer, roles, sessions, notify }: ProviderAccountsOptions) {
  /** Returns the account of a subject. */
  async function find (trx: Kysely<Database>, subject: string): Promise<AccountRow | undefined> {
    const known = await trx.selectFrom('oidc_identities').select('user_id')
      .where('issuer', '=', issuer).where('subject', '=', subject).executeTakeFirst()
    if (known === undefined) return undefined
    await trx.updateTable('oidc_identities').set({ signed_in_at: Date.now() })
      .where('issuer', '=', issuer).where('subject', '=', subject).execute()
    return await selectAccounts(trx).where('u.id', '=', known.user_id).executeTakeFirst()
  }

  /** Creates or links the account of a subject. Throws ForbiddenError, ConflictError `OIDC_ACCOUNT_CONFLICT`. */
  async function join (
    trx: Kysely<Database>, claims: Claims, visitor: Origin, after: (() => void)[]
  ): Promise<AccountRow> {
    const email = emailOf(claims)
    if (email === undefined) {
      throw new ForbiddenError('OIDC_EMAIL_MISSING', 'The identity provider sent no email address')
    }
    const existing = await selectAccounts(trx).where('u.email_canonical', '=', canonicalEmail(email))
      .executeTakeFirst()
    if (existing !== undefined && !isVerified(claims)) {
      throw new ForbiddenError(
        'OIDC_EMAIL_UNVERIFIED', 'The address has an account, and the identity provider has not verified it'
      )
    }
    const account = existing ?? await create(trx, email, claims, visitor)
    const now = Date.now()
    const linked = await trx.insertInto('oidc_identities').values({
      issuer, subject: claims.sub, user_id: account.id, linked_at: now, signed_in_at: now
    }).onConflict(conflict => conflict.doNothing()).returning('user_id').executeTakeFirst()
    if (linked === undefined) throw conflict()
    if (existing !== undefined) await link(trx, existing, claims, visitor, after)
    return account
  }

  async function create (
    trx: Kysely<Database>, email: string, claims: Claims, visitor: Origin
  ): Promise<AccountRow> {
    const created = await insertUser(trx, {
      name: nameOf(claims) ?? email, email, passwordHash: hashOfNoPassword(), passwordSetBy: 'none'
    })
    // Created by somebody else at this moment.
    if (created === undefined) throw conflict()
    const row = await selectAccounts(trx).where('u.id', '=', created.id).executeTakeFirstOrThrow()
    await record(trx, asUser(visitor, row), {
      action: 'user.created', resourceId: row.id, place: placeOf(row), after: toAccount(row, 'all'),
      details: { issuer, subject: claims.sub }
    })
    return row
  }

  /**
   * Links an account. A password that the owner of the address has not chosen is removed with the sessions, because
   * somebody else may know it, who would get the roles that the provider grants.
   */
  async function link (
    trx: Kysely<Database>, row: AccountRow, claims: Claims, visitor: Origin, after: (() => void)[]
  ): Promise<void> {
    const losesPassword = row.password_set_by !== 'owner'
    await record(trx, asUser(visitor, row), {
      action: 'user.provider_linked', resourceId: row.id, place: placeOf(row),
      details: { issuer, subject: claims.sub, passwordRemoved: losesPassword }
    })
    if (losesPassword) {
      await trx.updateTable('users').set({
        password_hash: hashOfNoPassword(), password_set_by: 'none', mfa_secret_sealed: null, mfa_confirmed_at: null,
        mfa_last_step: null
      }).where('id', '=', row.id).execute()
      for (const table of ['recovery_codes', 'mfa_challenges', 'password_resets'] as const) {
        await trx.deleteFrom(table).where('user_id', '=', row.id).execute()
      }
      after.push(await sessions.endAllWithin(trx, row.id))
    }
    after.push(() => notify(row.email, 'providerLinked'))
  }

  /** Adopts a new address of a known subject, if it is verified and free. */
  async function followAddress (
    trx: Kysely<Database>, row: AccountRow, claims: Claims, visitor: Origin, after: (() => void)[]
  ): Promise<AccountRow> {
    const email = emailOf(claims)
    if (email === undefined || email === row.email || !isVerified(claims)) return row
    const { numAffectedRows } = await sql`
      update users set email = ${email}, email_canonical = ${canonicalEmail(email)}, updated_at = ${Date.now()}::bigint
      where id = ${row.id} and not exists (
        select from users where email_canonical = ${canonicalEmail(email)} and id <> ${row.id})`.execute(trx)
    if (numAffectedRows !== 1n) return row
    await trx.deleteFrom('password_resets').where('user_id', '=', row.id).execute()
    const moved = await selectAccounts(trx).where('u.id', '=', row.id).executeTakeFirstOrThrow()
    await record(trx, asUser(visitor, moved), {
      action: 'user.updated', resourceId: row.id, place: placeOf(row), before: toAccount(row, 'all'),
      after: toAccount(moved, 'all'), details: { issuer }
    })
    after.push(() => notify(row.email, 'addressChanged'))
    return moved
  }

  return {
    /**
     * Finds, creates or links the user of the claims and gives them the roles of their claims, then calls `enter` in
     * the same transaction. Without a role the user is refused, and a known one loses all roles and sessions.
     */
    async admit<T> (
      claims: Claims, visitor: Origin, enter: (trx: Kysely<Database>, userId: string) => Promise<T>
    ): Promise<Admitted<T>> {
      const after: (() => void)[] = []
      const outcome = await db.transaction().execute(async (trx): Promise<Admitted<T>> => {
        await lockSuperAdmins(trx)
        const granted = await roles.grantedBy(trx, claims)
        const known = await find(trx, claims.sub)
        if (granted.length === 0) {
          if (known !== undefined) {
            await roles.replace(trx, known, [], visitor)
            after.push(await sessions.endAllWithin(trx, known.id), () => sessions.grantsChanged())
            // An earlier sign-in may still have its code.
            await trx.updateTable('oidc_sign_ins').set({ code_hash: null, user_id: null })
              .where('user_id', '=', known.id).execute()
          }
          return { refusal: noRole(), userId: known?.id }
        }
        const user = known === undefined
          ? await join(trx, claims, visitor, after)
          : await followAddress(trx, known, claims, visitor, after)
        const hasChanged = await roles.replace(trx, user, granted, visitor)
        if (hasChanged) after.push(() => sessions.grantsChanged())
        return { admitted: await enter(trx, user.id) }
      })
      for (const announce of after) announce()
      return outcome
    }
  }
}

function emailOf ({ email }: Claims): string | undefined {
  return typeof email === 'string' && email.length <= addressLengthMax && addressForm.test(email) ? email : undefined
}

function nameOf (claims: Claims): string | undefined {
  const found = [claims['name'], claims['preferred_username']].find(name => typeof name === 'string' && name !== '')
  return typeof found === 'string'
    ? found.replaceAll('\0', '').slice(0, nameLengthMax).replaceAll(/\p{Cs}/gu, '') || undefined
    : undefined
}

/** Some providers send the text. */
const isVerified = (claims: Claims): boolean =>
  claims['email_verified'] === true || claims['email_verified'] === 'true'

const noRole = () =>
  new ForbiddenError('OIDC_NO_ROLE', 'The identity provider grants no role of the platform to the user')

const conflict = () =>
  new ConflictError('OIDC_ACCOUNT_CONFLICT', 'The address belongs to another user of the identity provider')
