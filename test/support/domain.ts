import { createKysely, createPool } from '../../db/connection.ts'
import type { Document } from '../../schemas/documents.ts'
import type { Scope } from '../../schemas/scope.ts'
import { createHistory } from '../../src/delivery/history.ts'
import { createDocuments } from '../../src/documents/documents.ts'
import { DocumentExpiry } from '../../src/documents/expiry.ts'
import type { LoggedEvent } from '../../src/events/envelope.ts'
import { createEpochs } from '../../src/events/epochs.ts'
import { createEventLog } from '../../src/events/log.ts'
import { ensurePartitions } from '../../src/events/partitions.ts'
import { EventWriter } from '../../src/events/writer.ts'
import type { PayloadCheck } from '../../src/events/payload-check.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { Budget } from '../../src/registry/json-schema/validation/fuel.ts'
import { createPublisher } from '../../src/registry/topics/publisher.ts'
import { createTopics } from '../../src/registry/topics/topics.ts'
import { createServices } from '../../src/services/services.ts'
import { createDatabase } from './database.ts'
import type { Teardown } from './teardown.ts'

const passAll: PayloadCheck = { createBudget: () => new Budget(), prepare: () => () => {} }

/** Starts the domain without HTTP on its own database. `node()` starts another instance on the same database. */
export async function createDomain (t: Teardown, { check = passAll }: { check?: PayloadCheck } = {}) {
  const url = await createDatabase(t)
  const pool = createPool({ connectionString: url, max: 10, onError: () => {} })
  t.teardown(() => pool.end())
  await ensurePartitions(pool, Date.now())
  const db = createKysely(pool)
  const epochOf = createEpochs('documents')
  const log = createEventLog({ pool, epochOf })
  const warnings: string[] = []
  const logger = {
    info: () => {},
    warn: (_fields: object, message: string) => {
      warnings.push(message)
    },
    error: (_fields: object, message: string) => {
      warnings.push(message)
    }
  }

  /** `now` is the clock of the node's writer. */
  function node ({ now = Date.now }: { now?: () => number } = {}) {
    const committed: LoggedEvent[] = []
    const metrics = createMetrics()
    const writer = new EventWriter({
      pool, epochOf, metrics, log: logger, check, now, onCommitted: events => committed.push(...events)
    })
    t.teardown(() => writer.close())
    const topics = createTopics({ db })
    return {
      committed,
      metrics,
      writer,
      documents: createDocuments({ pool, writer }),
      services: createServices({ db, writer }),
      topics,
      history: createHistory({ log, requireTopic: topics.requireTopic }),
      publisher: createPublisher({ writer }),
      expiry: new DocumentExpiry({ pool, writer, log: logger })
    }
  }

  let applications = 0
  async function createScope (): Promise<Scope> {
    const applicationId = `app_${++applications}`
    await pool.query('insert into applications values ($1, $1, \'\', 0, 0)', [applicationId])
    return { applicationId, environment: 'development' }
  }

  /** Returns the events in the log of one of the service's topics. */
  async function events (
    scope: Scope, service: string, change: 'created' | 'updated' | 'deleted'
  ): Promise<LoggedEvent[]> {
    return log.page(scope, `sync.${service}.${change}`, { limit: 1000 })
  }

  /** Lets a document expire. */
  const expire = (id: string) => pool.query('update documents set expires_at = $2 where id = $1', [id, Date.now() - 1])

  return { url, pool, db, log, warnings, node, createScope, events, expire }
}

export const parse = (answer: { json?: string }) => JSON.parse(answer.json ?? 'null') as Document
