import t from 'tap'
import { createPool } from '../../db/connection.ts'
import {
  createLeases, createNamedLeases, HeldLeases, type Lease, type LeasesOptions
} from '../../src/cluster/leases.ts'
import { createDatabase } from '../support/database.ts'
import { until } from '../support/waiting.ts'

/* Both kinds of leases, those of a table's rows and those by name, give a row to one node at a time. */

const pool = createPool({ connectionString: await createDatabase(t), max: 10 })
t.teardown(() => pool.end())
await pool.query("insert into applications values ('app_1', 'x', '', 0, 0)")

/** A table with leases: how to add a row, and how to lease it. */
interface Kind {
  table: string
  keyColumn: string
  add (key: string): Promise<unknown>
  leases: typeof createNamedLeases
}

const ofTable = (table: string, keyColumn: string, add: (key: string) => Promise<unknown>): Kind => ({
  table, keyColumn, add, leases: options => createLeases({ table, keyColumn, ...options })
})

const kinds: Kind[] = [
  { table: 'leases', keyColumn: 'name', add: async () => {}, leases: createNamedLeases },
  ofTable('replays', 'id', key =>
    pool.query(
      `insert into replays (id, application_id, environment, target, rate_per_second, total, state, requested_by,
        created_at) values ($1, 'app_1', 'development', 'all', 1, 1, 'pending', 'usr_1', 0)`,
      [key]
    )),
  ofTable('cdc_positions', 'connection_id', async key => {
    // A scope has one connection.
    const application = `app_${key}`
    await pool.query("insert into applications values ($1, 'x', '', 0, 0)", [application])
    await pool.query(
      `insert into cdc_connections (id, application_id, environment, connection_string_sealed, publication, slot,
        created_at, updated_at) values ($1, $2, 'development', '', '', '', 0, 0)`,
      [key, application]
    )
    await pool.query('insert into cdc_positions (connection_id) values ($1)', [key])
  })
]

/** Longer than any test of this file. */
const hour = 3_600_000

for (const { table, keyColumn, add, leases } of kinds) {
  const leasesOf = (node: string, options: Partial<Pick<LeasesOptions, 'leaseMs' | 'mayRenewLate'>> = {}) =>
    leases({ pool, node, leaseMs: hour, ...options })
  let rows = 0
  const newKey = async () => {
    const key = `${table}_${++rows}`
    await add(key)
    return key
  }
  /** Ends a lease as if its time had passed. */
  const expire = (key: string) =>
    pool.query(
      `update ${table} set lease_expires_at = clock_timestamp() - interval '1 ms' where ${keyColumn} = $1`, [key]
    )
  const rowOf = async (key: string) => {
    const { rows: [row] } = await pool.query<{ lease_owner: string | null, fence: number, left_ms: number }>(
      `select lease_owner, fence, (extract(epoch from lease_expires_at - clock_timestamp()) * 1000)::float8 as left_ms
      from ${table} where ${keyColumn} = $1`,
      [key]
    )
    return row
  }

  await t.test(`${table}: one node holds a lease, until it releases it`, async t => {
    const [one, two] = [leasesOf('node_1'), leasesOf('node_2')]
    const key = await newKey()
    const lease = await one.take(key) as Lease
    t.same(lease, { key, fence: 1 })
    t.equal(await two.take(key), undefined, 'another node is refused')
    t.equal(await one.take(key), undefined, 'and so is a second lease of the holder')
    t.ok(await one.renew(lease))
    t.notOk(await two.renew(lease), 'only the holder renews')
    await two.release(lease)
    t.equal((await rowOf(key))?.lease_owner, 'node_1', 'and only the holder releases')
    const other = await newKey()
    t.match(await two.take(other), { key: other, fence: 1 }, 'rows have nothing to do with each other')
    await one.release(lease)
    t.notOk(await one.renew(lease), 'a released lease has ended')
    t.same(await two.take(key), { key, fence: 2 }, 'the next holder need not wait')
  })

  await t.test(`${table}: an expired lease can be taken, and its holder can neither renew nor release it`, async t => {
    const [one, two] = [leasesOf('node_1'), leasesOf('node_2')]
    const key = await newKey()
    const lease = await one.take(key) as Lease
    await expire(key)
    t.notOk(await one.renew(lease), 'an expired lease is not renewed, even if nobody has taken it')
    const next = await two.take(key) as Lease
    t.same(next, { key, fence: 2 })
    t.notOk(await one.renew(lease))
    await one.release(lease)
    t.ok(await two.renew(next), 'the new holder keeps it')
    await expire(key)
    t.same(await one.take(key), { key, fence: 3 }, 'a node that takes it again has a new fence')
    t.notOk(await one.renew(lease), 'and not the old one')
  })

  await t.test(`${table}: a lease that may be renewed late is, unless another node has taken it`, async t => {
    const [one, two] = [leasesOf('node_1', { mayRenewLate: true }), leasesOf('node_2')]
    const key = await newKey()
    const lease = await one.take(key) as Lease
    await expire(key)
    t.ok(await one.renew(lease))
    t.equal(await two.take(key), undefined)
    await expire(key)
    await two.take(key)
    await expire(key)
    t.notOk(await one.renew(lease), 'also if the lease of the other node has expired since')
  })

  await t.test(`${table}: a lease ends by itself, and renewing it extends it`, async t => {
    const [one, two] = [leasesOf('node_1', { leaseMs: 200 }), leasesOf('node_2')]
    const key = await newKey()
    const lease = await one.take(key) as Lease
    t.ok(((await rowOf(key))?.left_ms ?? 0) <= 200)
    await until(async () => await two.take(key) !== undefined, 'the lease to end')
    t.notOk(await one.renew(lease))
    const brief = leasesOf('node_1', { leaseMs: hour / 4 })
    const renewed = await newKey()
    const held = await brief.take(renewed) as Lease
    t.ok(await leasesOf('node_1').renew(held))
    t.ok(((await rowOf(renewed))?.left_ms ?? 0) > hour / 2)
  })

  await t.test(`${table}: of many nodes that take a lease at once, one wins`, async t => {
    const key = await newKey()
    const nodes = Array.from({ length: 8 }, (_, n) => leasesOf(`node_${n}`))
    for (let round = 1; round <= 100; round++) {
      const taken = await Promise.all(nodes.map(node => node.take(key)))
      const won = taken.filter(lease => lease !== undefined)
      if (won.length !== 1) t.fail(`${won.length} nodes took the lease in round ${round}`)
      if (won[0]?.fence !== round) t.fail(`the fence of round ${round} is ${won[0]?.fence}`)
      // Half of the leases are released, the others expire.
      if (round % 2 === 0) await nodes[taken.findIndex(lease => lease !== undefined)]?.release(won[0] as Lease)
      else await expire(key)
    }
    t.equal((await rowOf(key))?.fence, 100)
  })

  await t.test(`${table}: a transaction that locks the row delays the next holder, then its fence is old`, async t => {
    const [one, two] = [leasesOf('node_1'), leasesOf('node_2')]
    const key = await newKey()
    const lease = await one.take(key) as Lease
    await expire(key)
    const lockSql = `select from ${table} where ${keyColumn} = $1 and fence = $2 for update`
    const client = await pool.connect()
    await client.query('begin')
    t.equal((await client.query(lockSql, [key, lease.fence])).rowCount, 1, 'an expired lease that nobody took is held')
    let isTaken = false
    const taking = two.take(key).finally(() => { isTaken = true })
    await until(async () => {
      const { rowCount } = await pool.query(
        `select from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database() and query like $1`,
        [`update ${table} set lease_owner%`]
      )
      return rowCount === 1
    }, 'the other node to wait for the row')
    t.notOk(isTaken)
    await client.query('commit')
    client.release()
    t.same(await taking, { key, fence: 2 })
    t.equal((await pool.query(lockSql, [key, lease.fence])).rowCount, 0)
  })

  await t.test(`${table}: the clock of a node does not count`, async t => {
    const [one, two] = [leasesOf('node_1'), leasesOf('node_2')]
    const key = await newKey()
    const lease = await one.take(key) as Lease
    const { now } = Date
    for (const aheadMs of [2 * hour, -2 * hour]) {
      Date.now = () => now() + aheadMs
      try {
        t.equal(await two.take(key), undefined, 'a node with a wrong clock takes nothing')
        t.ok(await one.renew(lease))
        const left = (await rowOf(key))?.left_ms ?? 0
        t.ok(left > 0 && left <= hour, 'and the lease lasts as long as it should')
      } finally {
        Date.now = now
      }
    }
  })

  await t.test(`${table}: several leases are renewed at once, apart from those that have ended`, async t => {
    const [one, two] = [leasesOf('node_1'), leasesOf('node_2')]
    const keys = [await newKey(), await newKey(), await newKey()] as const
    const held = []
    for (const key of keys) held.push(await one.take(key) as Lease)
    await expire(keys[1])
    await two.take(keys[1])
    t.same(await one.renewAll(held), new Set([keys[0], keys[2]]))
    t.same(await one.renewAll([]), new Set())
  })

  await t.test(`${table}: a loop holds a lease, renews it in time, and takes it again with a new fence`, async t => {
    const [one, two] = [new HeldLeases(leasesOf('node_1')), new HeldLeases(leasesOf('node_2'))]
    const key = await newKey()
    t.match(await one.hold(key), { fence: 1 })
    t.match(await one.hold(key), { fence: 1 }, 'it is not taken again while it lasts')
    t.equal(await two.hold(key), undefined)
    t.same([one.has(key), two.has(key)], [true, false])
    await one.release(key)
    t.match(await two.hold(key), { fence: 2 })
    await two.releaseAll()
    t.same([two.keys, (await rowOf(key))?.lease_owner], [[], null])

    // A third of no time has always passed.
    const eager = new HeldLeases({ ...leasesOf('node_1'), leaseMs: 0 })
    t.match(await eager.hold(key), { fence: 3 })
    await pool.query(
      `update ${table} set lease_expires_at = clock_timestamp() + interval '1 min' where ${keyColumn} = $1`, [key]
    )
    t.match(await eager.hold(key), { fence: 3 })
    t.ok(((await rowOf(key))?.left_ms ?? 0) > hour / 2, 'it is renewed')
    await expire(key)
    t.match(await eager.hold(key), { fence: 4 }, 'one that has expired is taken again')
  })
}

await t.test('the row of a deleted connection cannot be leased', async t => {
  const leases = createLeases({
    pool, table: 'cdc_positions', keyColumn: 'connection_id', node: 'node_1', leaseMs: hour
  })
  t.equal(await leases.take('cdc_unknown'), undefined)
  t.notOk(await leases.renew({ key: 'cdc_unknown', fence: 1 }))
})
