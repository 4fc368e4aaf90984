import fp from 'fastify-plugin'
import { createAuditLog, type AuditLog } from '../src/identity/audit/audit-log.ts'
import { createAuditRetention } from '../src/identity/audit/retention.ts'
import { createLinks } from '../src/identity/mail/links.ts'
import { createMailer } from '../src/identity/mail/mailer.ts'
import { createInvites, type Invites } from '../src/identity/people/invites.ts'
import { createNotify, type Notify } from '../src/identity/people/notify.ts'
import { createPasswordResets, type PasswordResets } from '../src/identity/people/password-resets.ts'
import { createPeople, type People } from '../src/identity/people/people.ts'
import { createReauthentication } from '../src/identity/people/reauthentication.ts'
import { createRoleAssignments, type RoleAssignments } from '../src/identity/people/role-assignments.ts'
import { createRoles, type Roles } from '../src/identity/people/roles.ts'
import { createUserCredentials, type UserCredentials } from '../src/identity/people/user-credentials.ts'

declare module 'fastify' {
  interface FastifyInstance {
    people: People
    userCredentials: UserCredentials
    roleAssignments: RoleAssignments
    roles: Roles
    invites: Invites
    passwordResets: PasswordResets
    auditLog: AuditLog
    /** Mails users about changes of their accounts. */
    notify: Notify
  }
}

/** Manages users, roles, invites and password resets, sends their mails, and reads the audit log. */
export default fp(async (app) => {
  const { db, log, users, sessions, secondFactor, login, refusedLogins, signInMethods: methods } = app
  const { apiKeyAdmin: apiKeys } = app
  const { audit, http, mail } = app.config
  const baseUrl = () => {
    const address = app.server.address()
    return http.publicUrl ??
      `http://${http.host}:${typeof address === 'object' && address !== null ? address.port : http.port}`
  }
  const mailer = createMailer({
    smtpUrl: mail.smtpUrl,
    from: mail.from ?? `realtime@${new URL(http.publicUrl ?? 'http://localhost').hostname}`,
    log,
    metrics: app.instruments
  })
  const links = createLinks(baseUrl)
  const onGrantsChanged = () => sessions.grantsChanged()
  const notify = createNotify(mailer)
  const resets = createPasswordResets({ db, users, sessions, apiKeys, mailer, links, notify, methods, log })
  const invites = createInvites({ db, users, login, mailer, links, methods, onGrantsChanged })
  const reauthentication = createReauthentication({ users, refusedLogins, invalidations: app.invalidations })
  app.decorate(
    'people', createPeople({ db, users, sessions, reauthentication, methods, notify, invite: invites.create })
  )
  app.decorate(
    'userCredentials', createUserCredentials({
      db, sessions, secondFactor, reauthentication, apiKeys, methods, notify
    })
  )
  app.decorate('roleAssignments', createRoleAssignments({ db, onGrantsChanged }))
  app.decorate('roles', createRoles({ db, onGrantsChanged }))
  app.decorate('invites', invites)
  app.decorate('passwordResets', resets)
  app.decorate('notify', notify)
  app.decorate('auditLog', createAuditLog({ db }))
  const auditRetention = createAuditRetention({ db, retentionDays: audit.retentionDays, now: app.clock.now, log })
  app.addHook('onReady', async () => auditRetention.start())
  app.addHook('onClose', async () => {
    auditRetention.stop()
    await resets.close()
    await mailer.close()
  })
}, { name: 'people', dependencies: ['accounts', 'config', 'credentials', 'database', 'metrics', 'invalidations'] })
