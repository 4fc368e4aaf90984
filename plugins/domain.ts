import fp from 'fastify-plugin'
import { createHistory, type History } from '../src/delivery/history.ts'
import { createDocuments, type Documents } from '../src/documents/documents.ts'
import { DocumentExpiry } from '../src/documents/expiry.ts'
import { createSchemaVersions, type SchemaVersions } from '../src/registry/schemas/versions.ts'
import { ownedServices } from '../src/services/owned-services.ts'
import { createServices, type Services } from '../src/services/services.ts'
import { ownedEvents } from '../src/events/owned-events.ts'
import { ownedTopics } from '../src/registry/topics/owned-topics.ts'
import { createPublisher, type Publisher } from '../src/registry/topics/publisher.ts'
import { createTopics, type Topics } from '../src/registry/topics/topics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    topics: Topics
    history: History
    schemas: SchemaVersions
    publisher: Publisher
    services: Services
    documents: Documents
  }
}

/** Decorates the server with the domain modules that routes and sockets call. The modules contain no HTTP. */
export default fp(async (app) => {
  const { db, pool, eventLog: log, eventWriter: writer } = app
  const topics: Topics = createTopics({
    db, schemaVersionExists: (scope, topic, version) => schemas.exists(scope, topic, version)
  })
  const schemas = createSchemaVersions({
    db, checker: app.checkerPool, validators: app.validators, requireTopic: topics.requireTopic
  })
  app.decorate('topics', topics)
  app.decorate('history', createHistory({ log, requireTopic: topics.requireTopic }))
  app.decorate('schemas', schemas)
  app.decorate('publisher', createPublisher({ writer, observer: app.tracing.writes }))
  app.decorate('services', createServices({ db, writer }))
  app.decorate('documents', createDocuments({ pool, writer, now: app.clock.now }))

  for (const data of [ownedServices, ownedTopics, ownedEvents]) app.applications.registerData(data)

  const expiry = new DocumentExpiry({ pool, writer, log: app.log, now: app.clock.now })
  app.addHook('onReady', async () => expiry.start())
  app.addHook('preClose', async () => expiry.close())
}, { name: 'domain', dependencies: ['database', 'events', 'hub', 'schema-registry', 'tenancy', 'tracing'] })
