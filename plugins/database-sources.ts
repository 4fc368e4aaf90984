import fp from 'fastify-plugin'
import { createConnectionTest, type TestConnection } from '../src/cdc/administration/connection-test.ts'
import { createDatabaseConnections, type DatabaseConnections } from '../src/cdc/administration/connections.ts'
import { createMappingLog, type MappingLog } from '../src/cdc/mappings/mapping-log.ts'
import { ownedConnections } from '../src/cdc/administration/owned-connections.ts'
import { createMappingChanges, type MappingChanges } from '../src/cdc/administration/mapping-changes.ts'
import { createMappingProblems } from '../src/cdc/administration/mapping-problems.ts'
import { createMappingStatus, type ReadMappingStatus } from '../src/cdc/administration/mapping-status.ts'
import { createMappings, type Mappings } from '../src/cdc/administration/mappings.ts'
import { createPreview, type PreviewMapping } from '../src/cdc/mappings/preview.ts'
import { createPromotion, type MappingPromotion } from '../src/cdc/administration/promotion.ts'
import { readSampleRows } from '../src/cdc/administration/sample-rows.ts'
import { createSourcePool, type SourcePool } from '../src/cdc/threads/source-pool.ts'
import { createDatabaseSubscriptions, type DatabaseSubscriptions } from '../src/cdc/administration/subscriptions.ts'
import { readTables } from '../src/cdc/source/tables.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Connected databases and their mappings. */
    databaseSources: {
      connections: DatabaseConnections
      test: TestConnection
      sources: SourcePool
      changes: MappingChanges
      readTables: typeof readTables
      readSampleRows: typeof readSampleRows
      mappings: Mappings
      promotion: MappingPromotion
      status: ReadMappingStatus
      preview: PreviewMapping
      subscriptions: DatabaseSubscriptions
      logs: MappingLog
    }
  }
}

/**
 * Provides the operations of the REST API on the tenants' own databases. The plugin `source-readers` reads their
 * changes.
 */
export default fp(async (app) => {
  const { db, encryption, invalidations, log, config: { cdc: { namePrefix, writersWaitMs } } } = app
  const { threads, slotCleanup, supervisor } = app.sourceReaders
  const sources = createSourcePool({ db, encryption, threads })
  const changes = createMappingChanges({ db, sources, log, writersWaitMs })
  const readProblems = createMappingProblems({ db, sources })
  app.applications.registerData(ownedConnections)
  app.decorate('databaseSources', {
    connections: createDatabaseConnections({
      db,
      encryption,
      slotCleanup,
      threads,
      namePrefix,
      now: app.clock.now,
      onChanged: () => {
        supervisor.look()
        invalidations.announce('sources')
      }
    }),
    test: createConnectionTest({ db, sources, threads, namePrefix }),
    sources,
    changes,
    readTables,
    readSampleRows,
    mappings: createMappings({ db, sources, changes, readProblems }),
    promotion: createPromotion({ db, sources, changes }),
    status: createMappingStatus({ db, readProblems }),
    preview: createPreview({ db }),
    subscriptions: createDatabaseSubscriptions({ db, changes, readProblems }),
    logs: createMappingLog({ db })
  })
}, {
  name: 'database-sources',
  dependencies: ['config', 'database', 'encryption', 'invalidations', 'source-readers', 'tenancy']
})
