import fp from 'fastify-plugin'
import { createApplications, type Applications } from '../src/identity/applications/applications.ts'
import { GracePeriods } from '../src/identity/applications/grace-periods.ts'
import { ApplicationCache } from '../src/identity/auth/application-cache.ts'

declare module 'fastify' {
  interface FastifyInstance {
    applications: Applications
    /** Caches which applications exist. */
    applicationCache: ApplicationCache
    /** How long applications keep channel members after their connection has ended. */
    gracePeriods: GracePeriods
  }
}

/** Manages applications. The `auth` plugin decides which scope a principal may use. */
export default fp(async (app) => {
  const cache = new ApplicationCache({ db: app.db })
  const gracePeriods = new GracePeriods({ db: app.db })
  app.decorate('applicationCache', cache)
  app.decorate('gracePeriods', gracePeriods)
  const { db, invalidations, log } = app
  const applications = createApplications({ db, cache, gracePeriods, invalidations, log })
  app.decorate('applications', applications)
  app.invalidations.on('application', id => applications.goneElsewhere(id))
  app.invalidations.on('grace', id => gracePeriods.forget(id))
}, { name: 'tenancy', dependencies: ['database', 'invalidations'] })
