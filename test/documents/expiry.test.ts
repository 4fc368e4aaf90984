import { once } from 'node:events'
import t from 'tap'
import type { Scope } from '../../schemas/scope.ts'
import { DocumentExpiry } from '../../src/documents/expiry.ts'
import { ServiceUnavailableError } from '../../src/errors.ts'
import type { Writer } from '../../src/events/intent.ts'
import { watched } from '../support/database.ts'
import { createDomain, parse } from '../support/domain.ts'
import { elapse, until } from '../support/waiting.ts'

const domain = await createDomain(t)
const { documents, expiry, writer } = domain.node()
const silent = { info: () => {}, warn: () => {} }

async function create (scope: Scope, count: number, data: Record<string, unknown> = {}): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      documents.create(scope, 'session', { id: `d${i}`, data, expiresAt: Date.now() + 60_000 }))
  )
}
/** All documents expire at the same time, so that the time does not separate pages. */
const expireAll = () =>
  domain.pool.query(
    "update documents set expires_at = $1 where not deleted and expires_at is not null and id <> 'later'",
    [Date.now() - 1]
  )

await t.test('a sweep deletes exactly the expired documents of all tenants, each with its event', async t => {
  const scopes: Scope[] = [await domain.createScope(), await domain.createScope()]
  scopes.push({ ...scopes[0] as Scope, environment: 'production' })
  for (const scope of scopes) await create(scope, 2, { a: 1 })
  await expireAll()
  await documents.create(scopes[0] as Scope, 'session', { id: 'later', data: {}, expiresAt: Date.now() + 60_000 })
  await documents.create(scopes[0] as Scope, 'session', { id: 'never', data: {} })

  t.equal(await expiry.sweep(), 6)
  for (const scope of scopes) {
    const values = (await domain.events(scope, 'session', 'deleted')).map(event => event.value)
    t.match(values, [{ revision: 2, data: { a: 1 }, deleted: true, reason: 'expired' }, { reason: 'expired' }])
    t.match(JSON.parse((await documents.list(scope, 'session', { includeDeleted: true })).json), [{
      deleted: true, revision: 2
    }, { deleted: true }])
  }
  t.equal(parse(await documents.get(scopes[0] as Scope, { service: 'session', id: 'later' })).revision, 1)
  t.equal(await expiry.sweep(), 0)
})

await t.test('several nodes together delete each document once', async t => {
  const scope = await domain.createScope()
  await create(scope, 1200)
  await expireAll()
  const ended = await Promise.all([expiry, domain.node().expiry, domain.node().expiry].map(sweep => sweep.sweep()))
  t.equal(ended.reduce((sum, count) => sum + count), 1200)
  const { rows } = await domain.pool.query(
    'select count(*)::int as events, count(distinct key)::int as keys from events where application_id = $1 and ' +
      'type = $2',
    [scope.applicationId, 'document.deleted']
  )
  t.strictSame(rows, [{ events: 1200, keys: 1200 }])
})

await t.test('large documents are deleted in groups that fit in memory', async t => {
  const scope = await domain.createScope()
  await create(scope, 30, { text: 'x'.repeat(250_000) })
  await expireAll()
  const groups: number[] = []
  let together = 0
  const watching: Writer = {
    async submit (intent) {
      groups.push(++together)
      try { return await writer.submit(intent) } finally { together-- }
    }
  }
  t.equal(await new DocumentExpiry({ pool: domain.pool, writer: watching, log: silent }).sweep(), 30)
  t.ok(Math.max(...groups) <= 17)
})

await t.test('a document that cannot be deleted does not keep the others', async t => {
  const scope = await domain.createScope()
  await create(scope, 600)
  await expireAll()
  const warnings: string[] = []
  const failing: Writer = {
    submit: async intent => intent.document?.id === 'd0' ? Promise.reject(new Error('broken')) : writer.submit(intent)
  }
  const sweep = new DocumentExpiry({
    pool: domain.pool, writer: failing, log: { ...silent, warn: (_fields, message) => warnings.push(message) }
  })
  t.equal(await sweep.sweep(), 599)
  t.strictSame(warnings, ['documents.expiry_refused'])
  t.equal(await expiry.sweep(), 1)
})

await t.test('an application with a full share of the queue does not keep documents of others', async t => {
  const [flooded, calm] = [await domain.createScope(), await domain.createScope()]
  await create(flooded, 600)
  await expireAll()
  await create(calm, 10)
  await domain.pool.query('update documents set expires_at = $2 where application_id = $1', [
    calm.applicationId, Date.now() - 1
  ])
  const full: Writer = {
    submit: async intent =>
      intent.scope.applicationId === flooded.applicationId
        ? Promise.reject(new ServiceUnavailableError('QUEUE_FULL', 'full'))
        : writer.submit(intent)
  }
  t.equal(await new DocumentExpiry({ pool: domain.pool, writer: full, log: silent }).sweep(), 10)
  t.equal(await expiry.sweep(), 600, 'its own documents are deleted when there is room')
})

await t.test('the sweep runs by the clock, survives an outage and stops on close', async t => {
  const scope = await domain.createScope()
  const outage = { isOn: true, queries: 0 }
  const flaky = watched(domain.pool, () => {
    outage.queries++
    if (outage.isOn) throw new ServiceUnavailableError('DATABASE_UNAVAILABLE', 'away')
  })
  const warnings: string[] = []
  const node = domain.node()
  const sweep = new DocumentExpiry({
    pool: flaky, writer: node.writer, log: { ...silent, warn: (_fields, message) => warnings.push(message) },
    intervalMs: 5
  })
  await create(scope, 1)
  await expireAll()
  sweep.start()
  await until(() => outage.queries >= 3)
  t.equal((await domain.events(scope, 'session', 'deleted')).length, 0)
  t.strictSame(warnings, ['documents.expiry_failed'], 'an outage is logged once')
  outage.isOn = false
  await until(async () => (await domain.events(scope, 'session', 'deleted')).length > 0)
  await sweep.close()
  const { queries } = outage
  // Four intervals.
  await elapse(20)
  t.equal(outage.queries, queries)
  await sweep.close()
})

await t.test('the sweep does not keep a process alive', async t => {
  const { spawn } = await import('node:child_process')
  const script = `import { DocumentExpiry } from ${
    JSON.stringify(
      new URL('../../src/documents/expiry.ts', import.meta.url).href.replace(
        /\.ts$/, import.meta.filename.endsWith('.ts') ? '.ts' : '.js'
      )
    )
  }
    new DocumentExpiry({ pool: {}, writer: {}, log: {} }).start()`
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
    stdio: 'inherit'
  })
  t.strictSame(await once(child, 'exit'), [0, null])
})
