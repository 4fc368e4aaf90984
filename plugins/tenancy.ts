import fp from 'fastify-plugin'
import { createApplications, type Applications } from '../src/identity/applications/applications.ts'
import { GraceTimes } from '../src/identity/applications/grace-periods.ts'
import { ApplicationPresence } from '../src/identity/auth/application-cache.ts'

declare module 'fastify' {
  interface FastifyInstance {
    applications: Applications
    /** Caches which applications exist. */
    applicationPresence: ApplicationPresence
    /** How long applications keep channel members after their connection has ended. */
    graceTimes: GraceTimes
  }
}

/** Manages applications. The `auth` plugin decides which scope a principal may use. */
export default fp(async (app) => {
  const presence = new ApplicationPresence({ db: app.db })
  const graceTimes = new GraceTimes({ db: app.db })
  app.decorate('applicationPresence', presence)
  app.decorate('graceTimes', graceTimes)
  const applications = createApplications({ db: app.db, presence, graceTimes, notices: app.notices, log: app.log })
  app.decorate('applications', applications)
  app.notices.on('application', id => applications.goneElsewhere(id))
  app.notices.on('grace', id => graceTimes.forget(id))
}, { name: 'tenancy', dependencies: ['database', 'notices'] })
