import type pg from 'pg'
import t from 'tap'
import { build } from '../support/build.ts'
import { objectWith, team } from '../support/deployments.ts'

t.setTimeout(300_000)

const { app } = await build(t)

/** Returns the bytes of all rows that are read during `work`. */
async function bytesRead (pool: pg.Pool, work: () => Promise<unknown>): Promise<number> {
  let bytes = 0
  const { connect } = pool
  const watched = async () => new Proxy(await Reflect.apply(connect, pool, []), {
    get (target: pg.PoolClient, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'query') return value.bind(target)
      return async (...query: unknown[]) => {
        const result = await Reflect.apply(value, target, query) as pg.QueryResult
        bytes += JSON.stringify(result.rows).length
        return result
      }
    }
  })
  // Queries of the pool itself connect with a callback: background work goes on.
  pool.connect = ((...callback: unknown[]) =>
    callback.length === 0 ? watched() : Reflect.apply(connect, pool, callback)) as typeof connect
  try {
    await work()
  } finally {
    pool.connect = connect
  }
  return bytes
}

t.test('a list reads neither contents nor diffs', async t => {
  const { author, topic, schema } = await team(app)
  await topic('order.placed')
  await schema('order.placed', { ...objectWith('id'), description: 'x'.repeat(200_000) })
  const { body: { id } } = await author.create([
    { kind: 'topic', name: 'order.placed' }, { kind: 'schema', name: 'order.placed' }
  ])
  t.equal((await author.act(id, 'apply')).status, 200)
  const detail = await bytesRead(app.pool, async () => await author.get(id))
  t.ok(detail > 200_000, `the diff is stored: ${detail}`)
  const bytes = await bytesRead(app.pool, async () => {
    const { body } = await author.request('GET', '/api/deployments')
    t.match(body, [{ id, items: [{ kind: 'topic', name: 'order.placed' }, { kind: 'schema', version: 1 }] }])
  })
  t.ok(bytes < 20_000, `${bytes}`)
})

t.test('a schema that is already active in the target changes nothing, also if later versions exist', async t => {
  const { author, topic, schema, made } = await team(app)
  await topic('order.placed')
  await topic('order.placed', 'staging')
  await schema('order.placed', objectWith('id'))
  await schema('order.placed', objectWith('id'), 'staging')
  await schema('order.placed', objectWith('id', 'total'), 'staging', { compatibilityMode: 'none', activate: false })
  const { body } = await author.create([{ kind: 'schema', name: 'order.placed' }])
  t.match(body, { ready: true, items: [{ action: 'none', targetVersion: 1, diff: [] }] })
  t.equal((await author.act(body.id, 'apply')).status, 200)
  t.equal((await made('GET', '/api/schemas/order.placed/versions', undefined, 'staging')).length, 2)
  t.match(await made('GET', '/api/topics/order.placed', undefined, 'staging'), { activeSchemaVersion: 1 })
})
