import fp from 'fastify-plugin'
import { createApplications, type Applications } from '../src/identity/applications/applications.ts'
import { GracePeriods } from '../src/identity/applications/grace-periods.ts'
import { createScopeResolver, type ScopeResolver } from '../src/identity/access/scope.ts'
import { ApplicationCache } from '../src/identity/auth/application-cache.ts'

declare module 'fastify' {
  interface FastifyInstance {
    applications: Applications
    /** Caches which applications exist. */
    applicationCache: ApplicationCache
    /** Returns the scope that a principal selects. */
    resolveScope: ScopeResolver
    /** How long applications keep channel members after their connection has ended. */
    gracePeriods: GracePeriods
  }
}

/** Manages applications, and resolves the scopes that requests and sockets select. */
export default fp(async (app) => {
  const { db, invalidations, log } = app
  const cache = new ApplicationCache({ db })
  const gracePeriods = new GracePeriods({ db })
  app.decorate('applicationCache', cache)
  app.decorate('resolveScope', createScopeResolver({ applications: cache }))
  app.decorate('gracePeriods', gracePeriods)
  const applications = createApplications({ db, cache, gracePeriods, invalidations, log })
  app.decorate('applications', applications)
  app.invalidations.on('application', id => applications.goneElsewhere(id))
  app.invalidations.on('grace', id => gracePeriods.forget(id))
}, { name: 'tenancy', dependencies: ['database', 'invalidations'] })
