import t from 'tap'
import type { Scope } from '../../schemas/scope.ts'
import { system } from '../../src/identity/audit/origin.ts'
import { createDomain, parse } from '../support/domain.ts'

const domain = await createDomain(t)
const { services, documents, writer } = domain.node()
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)
const create = (scope: Scope, id: string, service = 'session') => documents.create(scope, service, { id, data: { id } })
const idOf = async (scope: Scope, name = 'session') =>
  (await services.list(scope, {})).items.find(service => service.name === name)?.id ?? ''
const countDocuments = async (scope: Scope) =>
  (await domain.pool.query('select 1 from documents where application_id = $1', [scope.applicationId])).rowCount

await t.test('a service is created, read, changed and deleted', async t => {
  const scope = await domain.createScope()
  const service = await services.create(scope, { name: 'session', description: 'Live sessions' }, system)
  t.match(service, {
    id: /^[0-9a-f-]{36}$/, name: 'session', description: 'Live sessions', applicationId: scope.applicationId,
    createdAt: /^\d{4}-\d\d-\d\dT.*Z$/
  })
  t.strictSame(await services.get(scope, service.id), service)
  t.strictSame(await services.get({ ...scope, environment: 'production' }, service.id), service, 'in every environment')
  await t.rejects(services.create(scope, { name: 'session' }, system), { status: 409, code: 'SERVICE_EXISTS' })
  t.match(await services.update(scope, service.id, { description: null }, system), {
    ...service,
    description: null,
    updatedAt: /Z$/
  })
  await services.remove(scope, service.id, {}, system)
  for (
    const attempt of [() => services.get(scope, service.id), () =>
      services.update(scope, service.id, { description: null }, system), () =>
      services.remove(scope, service.id, {}, system), () =>
      services.get(scope, 'urn:uuid:x')]
  ) {
    await t.rejects(async () => {
      await attempt()
    }, { status: 404, code: 'SERVICE_NOT_FOUND' })
  }
})

await t.test('another application\'s service is not found, and its name is available', async t => {
  const [mine, others] = [await domain.createScope(), await domain.createScope()]
  const { id } = await services.create(mine, { name: 'session' }, system)
  for (
    const attempt of [() => services.get(others, id), () =>
      services.update(others, id, { description: null }, system), () =>
      services.remove(others, id, { force: true }, system)]
  ) {
    await t.rejects(async () => {
      await attempt()
    }, { status: 404, code: 'SERVICE_NOT_FOUND' })
  }
  t.not((await services.create(others, { name: 'session' }, system)).id, id)
})

await t.test('the first document creates its service, once', async t => {
  const scope = await domain.createScope()
  await Promise.all(upTo(20).map(i => create(scope, `d${i}`)))
  t.match((await services.list(scope, {})).items, [{ name: 'session', description: null }])
})

await t.test('lists page through the names', async t => {
  const scope = await domain.createScope()
  for (const name of ['c', 'a', 'b-1', 'b_2']) await services.create(scope, { name }, system)
  const first = await services.list(scope, { limit: 3 })
  const second = await services.list(scope, { limit: 3, cursor: first.nextCursor ?? '' })
  t.equal(second.nextCursor, undefined)
  t.strictSame([...first.items, ...second.items].map(({ name }) => name).toSorted(), ['a', 'b-1', 'b_2', 'c'])
})

await t.test('a service cannot be deleted while it has documents in any environment', async t => {
  const scope = await domain.createScope()
  const production: Scope = { ...scope, environment: 'production' }
  await create(production, 'd')
  const id = await idOf(scope)
  await t.rejects(services.remove(scope, id, {}, system), { status: 409, code: 'SERVICE_NOT_EMPTY' })
  await documents.remove(production, { service: 'session', id: 'd' })
  await services.remove(scope, id, {}, system)
  t.equal(await countDocuments(scope), 0, 'its tombstones were deleted with it')
  t.match(parse(await create(production, 'd')), { revision: 1 })
})

await t.test('any number of tombstones is deleted with the service', async t => {
  const scope = await domain.createScope()
  await create(scope, 'd')
  await documents.remove(scope, { service: 'session', id: 'd' })
  await domain.pool.query(`insert into documents select $1, e, 'session', 'old' || i, 2, '{}', true, null, 0, 0
    from generate_series(1, 10001) i, unnest(array['development', 'staging']) e`, [scope.applicationId])
  await services.remove(scope, await idOf(scope), {}, system)
  t.equal(await countDocuments(scope), 0)
})

await t.test('an expired document does not keep its service, and its deletion is still published', async t => {
  const scope = await domain.createScope()
  await create(scope, 'overdue')
  await domain.expire('overdue')
  await services.remove(scope, await idOf(scope), {}, system)
  t.match((await domain.events(scope, 'session', 'deleted')).map(event => event.value), [{
    id: 'overdue', reason: 'expired'
  }])
})

await t.test('with force, the documents of all environments are deleted, each with its event', async t => {
  const scope = await domain.createScope()
  const staging: Scope = { ...scope, environment: 'staging' }
  await Promise.all([
    ...upTo(1100).map(i => create(scope, `d${i}`)),
    ...upTo(3).map(i => create(staging, `d${i}`)),
    create(scope, 'd0', 'other')
  ])
  await services.remove(scope, await idOf(scope), { force: true }, system)
  const { rows } = await domain.pool.query(
    'select environment, count(*)::int as n from events where application_id = $1 and type = $2 group by 1 order by 1',
    [scope.applicationId, 'document.deleted']
  )
  t.strictSame(rows, [{ environment: 'development', n: 1100 }, { environment: 'staging', n: 3 }])
  t.equal(await countDocuments(scope), 1)
  t.match((await services.list(scope, {})).items, [{ name: 'other' }])
  t.match((await domain.events(staging, 'session', 'deleted'))[0]?.value, { reason: 'deleted', deleted: true })
})

await t.test('documents created during a deletion are never lost without an event', async t => {
  const scope = await domain.createScope()
  const nodes = [domain.node(), domain.node()]
  await Promise.all(upTo(50).map(i => create(scope, `before${i}`)))
  const state = { isDone: false }
  const acknowledged = new Set<string>()
  const writing = Promise.all(
    upTo(8).map(async worker => {
      for (let i = 0; !state.isDone; i++) {
        const id = `w${worker}-${i % 5}`
        await nodes[worker % 2]?.documents.create(scope, 'session', { id, data: {} }).then(
          () => acknowledged.add(id), error => t.match(error, { status: 409, code: 'DOCUMENT_EXISTS' })
        )
      }
    })
  )
  for (let round = 0; round < 20; round++) {
    const id = await idOf(scope)
    if (id !== '') {
      await services.remove(scope, id, { force: true }, system).catch(error =>
        t.match(error, { status: 409, code: 'SERVICE_NOT_EMPTY' })
      )
    }
  }
  state.isDone = true
  await writing

  const live = new Set(
    (JSON.parse((await documents.list(scope, 'session', { limit: 1000 })).json) as { id: string }[]).map(({ id }) => id)
  )
  const deleted = new Set(
    (await domain.pool.query<{ key: string }>('select key from events where application_id = $1 and type = $2', [
      scope.applicationId, 'document.deleted'
    ])).rows.map(({ key }) => key)
  )
  t.strictSame(
    [...acknowledged].filter(id => !live.has(id) && !deleted.has(id)), [], 'each is there, or its end was told'
  )
  const { rows } = await domain.pool.query<{ created: number, deleted: number }>(
    `select count(*) filter (where type = 'document.created')::int as created,
    count(*) filter (where type = 'document.deleted')::int as deleted from events where application_id = $1`,
    [scope.applicationId]
  )
  t.equal(rows[0]?.created, (rows[0]?.deleted ?? 0) + live.size, 'each created document has been deleted or exists')
  t.strictSame(domain.warnings, [])
})

await t.test('the writer forgets a deleted service', async t => {
  const scope = await domain.createScope()
  await create(scope, 'd')
  const forgotten: string[] = []
  const { createServices } = await import('../../src/services/services.ts')
  const watching = createServices({
    db: domain.db,
    writer: {
      submit: intent => writer.submit(intent),
      forgetService: (...key) => {
        forgotten.push(key.join('/'))
        writer.forgetService(...key)
      }
    }
  })
  await watching.remove(scope, await idOf(scope), { force: true }, system)
  t.strictSame(forgotten, [`${scope.applicationId}/session`])
  t.equal(parse(await create(scope, 'd')).revision, 1)
})

await t.test('a service of a deleted application is 404', async t => {
  const gone: Scope = { applicationId: 'app_gone', environment: 'development' }
  await t.rejects(services.create(gone, { name: 'session' }, system), {
    status: 404, code: 'APPLICATION_NOT_FOUND'
  })
})
