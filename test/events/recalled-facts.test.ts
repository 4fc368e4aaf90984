import fc from 'fast-check'
import t from 'tap'
import { createPool } from '../../db/connection.ts'
import type { Scope } from '../../schemas/scope.ts'
import { NotFoundError, ValidationError } from '../../src/errors.ts'
import { createEpochs } from '../../src/events/epochs.ts'
import type { LoggedEvent } from '../../src/events/envelope.ts'
import type { Effects, Intent } from '../../src/events/intent.ts'
import { ensurePartitions } from '../../src/events/partitions.ts'
import type { PayloadCheck } from '../../src/events/payload-check.ts'
import { EventWriter } from '../../src/events/writer.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { Budget } from '../../src/registry/json-schema/validation/fuel.ts'
import { WebhookRouting } from '../../src/webhooks/routing.ts'
import { createDatabase } from '../support/database.ts'

/*
 * Writes go by what a node remembers of topics and webhooks. Here these change in the database, as another node would
 * change them, without an invalidation.
 */

const url = await createDatabase(t)
const pool = createPool({ connectionString: url, max: 10, onError: () => {} })
t.teardown(() => pool.end())
await ensurePartitions(pool, Date.now())

/** Version n allows payloads of at least n. */
const check: PayloadCheck = {
  createBudget: () => new Budget(),
  prepare: (_scope, _topic, version) => payload => {
    if ((payload as number) < version) throw new ValidationError('SCHEMA_VIOLATED', `not allowed by ${version}`)
  }
}

/** A node, and the statements that its writer sends. */
function node () {
  const statements: string[] = []
  const watched = new Proxy(pool, {
    get (target, name, receiver) {
      if (name !== 'connect') return Reflect.get(target, name, receiver) as unknown
      return async () => {
        const client = await target.connect()
        return new Proxy(client, {
          get (inner, property) {
            const member: unknown = Reflect.get(inner, property, inner)
            if (typeof member !== 'function') return member
            if (property !== 'query') return member.bind(inner) as unknown
            return (statement: { name?: string } | string) => {
              statements.push(typeof statement === 'string' ? statement : statement.name ?? '')
              return inner.query(statement as string)
            }
          }
        })
      }
    }
  })
  const metrics = createMetrics()
  const writer = new EventWriter({
    pool: watched, epochOf: createEpochs('append'), metrics, log: { error: () => {}, warn: () => {} },
    check, routing: new WebhookRouting(), onCommitted: () => {}
  })
  return { writer, statements, metrics }
}

let applications = 0
async function newScope (): Promise<Scope> {
  const applicationId = `app_${++applications}`
  await pool.query("insert into applications values ($1, $1, '', 0, 0)", [applicationId])
  return { applicationId, environment: 'development' }
}

const publish = (scope: Scope, topic: string, payload: number): Intent<LoggedEvent> => ({
  scope,
  topics: [topic],
  apply (batch) {
    if (!batch.isRegistered(topic)) throw new NotFoundError('TOPIC_NOT_FOUND', 'not registered')
    const schemaVersion = batch.check(topic, payload, '/payload')
    return {
      events: [{ topic, type: 'topic.event', source: 'api', key: null, payload: String(payload), schemaVersion }]
    }
  },
  answer: events => events[0] as LoggedEvent
})

/** Counts in a document. Its answer is the revision. */
const increment = (scope: Scope): Intent<number> => ({
  scope,
  document: { service: 'counters', id: 'c' },
  topics: ['sync.counters.updated'],
  apply ({ now }, before): Effects {
    const revision = (before?.revision ?? 0) + 1
    const data = { n: revision }
    return {
      document: {
        service: 'counters', id: 'c', revision, data, dataText: JSON.stringify(data), deleted: false, expiresAt: null,
        createdAt: before?.createdAt ?? now, updatedAt: now
      },
      events: [{
        topic: 'sync.counters.updated', type: 'topic.event', source: 'sync', key: 'c', payload: JSON.stringify(data),
        schemaVersion: null
      }]
    }
  },
  answer: (_events, document) => document?.revision ?? 0
})

const register = ({ applicationId, environment }: Scope, topic: string) =>
  pool.query("insert into topics values ($1, $2, $3, '', '', null, 0)", [applicationId, environment, topic])
const remove = ({ applicationId }: Scope, topic: string) =>
  pool.query('delete from topics where application_id = $1 and name = $2', [applicationId, topic])
const activate = ({ applicationId }: Scope, topic: string, version: number | null) =>
  pool.query('update topics set active_schema_version = $3 where application_id = $1 and name = $2', [
    applicationId, topic, version
  ])

async function addWebhook ({ applicationId }: Scope, id: string, now: number): Promise<void> {
  await pool.query(
    `insert into webhooks (
      id, application_id, url, description, events, secrets, active, ordering, created_at, updated_at)
    values ($1, $2, 'http://127.0.0.1:1/', '', '{topic.event}', '[]', true, 'none', $3, $3)`,
    [id, applicationId, now]
  )
  await pool.query(
    `insert into webhook_versions values ($1, 1, $2)
    on conflict (application_id) do update set version = webhook_versions.version + 1`,
    [applicationId, now]
  )
}

async function owed ({ applicationId }: Scope): Promise<string[]> {
  const { rows } = await pool.query<{ webhook_id: string }>(
    `select webhook_id from webhook_outbox o join topic_logs l on l.id = o.log_id
    where l.application_id = $1 order by o.id, webhook_id`,
    [applicationId]
  )
  return rows.map(row => row.webhook_id)
}

await t.test('a known topic is appended to in one statement', async t => {
  const scope = await newScope()
  await register(scope, 'orders')
  const { writer, statements } = node()
  await writer.submit(publish(scope, 'orders', 1))
  statements.length = 0
  const { offset } = await writer.submit(publish(scope, 'orders', 2))
  t.equal(offset, 2)
  t.same(statements, ['writer_write_f'])
})

await t.test('each append obeys the registration and the schema of its topic at its time', async t => {
  const scope = await newScope()
  const { writer } = node()
  const append = (payload: number) => writer.submit(publish(scope, 'orders', payload))

  await t.rejects(append(1), { code: 'TOPIC_NOT_FOUND' })
  await register(scope, 'orders')
  t.match(await append(1), { offset: 1, schemaVersion: null }, 'what was unknown is registered')
  await activate(scope, 'orders', 5)
  await t.rejects(append(4), { code: 'SCHEMA_VIOLATED' }, 'a new version refuses')
  t.match(await append(5), { offset: 2, schemaVersion: 5 })
  await activate(scope, 'orders', 3)
  t.match(await append(4), { offset: 3, schemaVersion: 3 }, 'what the known version refuses is checked again')
  await activate(scope, 'orders', null)
  t.match(await append(0), { offset: 4, schemaVersion: null })
  await remove(scope, 'orders')
  await t.rejects(append(1), { code: 'TOPIC_NOT_FOUND' }, 'a removed topic is refused')
  await register(scope, 'orders')
  t.match(await append(1), { offset: 5 })
})

await t.test('a payload that is checked again is counted once', async t => {
  const scope = await newScope()
  await register(scope, 'orders')
  const { writer, metrics } = node()
  const append = (payload: number) => writer.submit(publish(scope, 'orders', payload))
  const counted = async () =>
    Number(/realtime_schema_violations_total\{.*\} (\d+)/.exec(await metrics.registry.metrics())?.[1] ?? 0)

  await activate(scope, 'orders', 3)
  await append(3)
  await activate(scope, 'orders', 2)
  await append(2)
  t.equal(await counted(), 0, 'only the known version refused it')
  await activate(scope, 'orders', 4)
  await t.rejects(append(1), { code: 'SCHEMA_VIOLATED' })
  t.equal(await counted(), 1, 'both versions refused it')
})

await t.test('an event is owed to each webhook that exists when it is written', async t => {
  const scope = await newScope()
  await register(scope, 'orders')
  const { writer, statements } = node()
  const append = () => writer.submit(publish(scope, 'orders', 1))

  await append()
  await append()
  t.same(await owed(scope), [], 'an application without webhooks')
  await addWebhook(scope, 'wh_first', Date.now())
  await append()
  t.same(await owed(scope), ['wh_first'])
  await addWebhook(scope, 'wh_second', Date.now())
  await append()
  t.same(await owed(scope), ['wh_first', 'wh_first', 'wh_second'])
  statements.length = 0
  await append()
  t.same(statements, ['writer_write_of'], 'known webhooks are owed an event in one statement')
})

await t.test('a write of a document that finds a new webhook is repeated, with one effect', async t => {
  const scope = await newScope()
  const { writer, statements } = node()
  const write = () => writer.submit(increment(scope))

  t.equal(await write(), 1)
  t.equal(await write(), 2)
  await addWebhook(scope, 'wh_of_document', Date.now())
  statements.length = 0
  t.equal(await write(), 3)
  t.same(statements, [
    'begin', 'writer_lock_documents', 'writer_write_uf', 'commit', 'rollback',
    'begin', 'writer_lock_documents', 'writer_read_topics', 'webhooks_versions', 'webhooks_load', 'writer_write_uo',
    'commit'
  ])
  t.same(await owed(scope), ['wh_of_document'])
  statements.length = 0
  t.equal(await write(), 4)
  t.same(statements, ['begin', 'writer_lock_documents', 'writer_write_uof', 'commit'])
  const { rows } = await pool.query<{ revision: number, events: number }>(
    `select d.revision, (select count(*) from events e where e.application_id = d.application_id) as events
    from documents d where application_id = $1`,
    [scope.applicationId]
  )
  t.same(rows, [{ revision: 4, events: 4 }])
})

await t.test('any order of changes and appends on two nodes gives what reading each time would', async t => {
  const change = fc.oneof(
    fc.record({ kind: fc.constant('register' as const) }),
    fc.record({ kind: fc.constant('remove' as const) }),
    fc.record({ kind: fc.constant('activate' as const), version: fc.option(fc.integer({ min: 1, max: 3 })) }),
    fc.record({
      kind: fc.constant('append' as const),
      node: fc.nat(1),
      payloads: fc.array(fc.nat(3), { minLength: 1, maxLength: 4 })
    })
  )
  const nodes = [node(), node()]
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 25 }), async changes => {
      const scope = await newScope()
      let topic: { version: number | null } | undefined
      let head = 0
      for (const step of changes) {
        if (step.kind === 'register') {
          if (topic === undefined) await register(scope, 'orders')
          topic ??= { version: null }
        } else if (step.kind === 'remove') {
          await remove(scope, 'orders')
          topic = undefined
        } else if (step.kind === 'activate') {
          await activate(scope, 'orders', step.version)
          if (topic !== undefined) topic = { version: step.version }
        } else {
          const writer = (nodes[step.node] as ReturnType<typeof node>).writer
          const results = await Promise.allSettled(
            step.payloads.map(payload => writer.submit(publish(scope, 'orders', payload)))
          )
          for (const [i, result] of results.entries()) {
            const isAllowed = topic !== undefined && (step.payloads[i] as number) >= (topic.version ?? 0)
            if (isAllowed !== (result.status === 'fulfilled')) {
              throw new Error(`${JSON.stringify(step)}: ${result.status}`)
            }
            if (result.status === 'rejected') continue
            const { offset, schemaVersion } = result.value
            if (offset !== ++head || schemaVersion !== topic?.version) {
              throw new Error(`offset ${offset} instead of ${head}, version ${schemaVersion}`)
            }
          }
        }
      }
    }),
    { numRuns: 40 }
  )
  t.pass()
})
