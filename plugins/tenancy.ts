import fp from 'fastify-plugin'
import { createApplications, type Applications } from '../src/identity/applications/applications.ts'
import { GraceTimes } from '../src/identity/applications/grace-periods.ts'
import { ApplicationPresence } from '../src/identity/auth/application-cache.ts'
import type { Scope } from '../schemas/scope.ts'

declare module 'fastify' {
  interface FastifyInstance {
    applications: Applications
    /** Which applications exist, for the hot path. */
    applicationPresence: ApplicationPresence
    /** How long applications keep members of channels whose connection has ended. */
    graceTimes: GraceTimes
  }
  interface FastifyRequest {
    /**
     * Set before the handler on routes whose permission is of an entity-owning resource; on others it is undefined, and
     * where it is optional it may be.
     */
    scope: Scope
  }
}

/**
 * The tenants, and the place on a request where its scope stands. Who may enter which scope is the business of `auth`.
 */
export default fp(async (app) => {
  const presence = new ApplicationPresence({ db: app.db })
  const graceTimes = new GraceTimes({ db: app.db })
  app.decorate('applicationPresence', presence)
  app.decorate('graceTimes', graceTimes)
  const applications = createApplications({ db: app.db, presence, graceTimes, notices: app.notices, log: app.log })
  app.decorate('applications', applications)
  app.notices.on('application', id => applications.goneElsewhere(id))
  app.notices.on('grace', id => graceTimes.forget(id))
  app.decorateRequest('scope', undefined as unknown as Scope)
}, { name: 'tenancy', dependencies: ['database', 'notices'] })
