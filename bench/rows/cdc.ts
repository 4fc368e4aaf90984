import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { CommitsLoad } from '../load/commits.ts'
import { alternate, median, percentile, spread } from '../measure.ts'
import { withCast, type Cast, type Context, type Row } from '../row.ts'
import type { BareReplicationServer } from '../servers/bare-replication.ts'

const transactions = 100
const rowsEach = 1000
const rounds = 5
const pacePerSecond = 500
const paceSeconds = 6
const paceRounds = 3
const payload = { id: '$row.id', status: '$row.status', amount: '$row.amount', at: '$row.at' }

type Platform = Awaited<ReturnType<Cast['platform']>>

/** A connected database with one mapped table. */
async function connected (context: Context, platform: Platform, name: string) {
  const admin = new pg.Client({ connectionString: context.databaseUrl })
  await admin.connect()
  await admin.query(`drop database if exists ${name} with (force)`)
  await admin.query(`create database ${name}`)
  const url = new URL(context.databaseUrl)
  url.pathname = `/${name}`
  const topic = `bench.${name.replaceAll('_', '')}`
  await platform.child.call('registerTopic', topic)
  const request = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${platform.url}/api/database/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${platform.token}`,
        ...(body !== undefined && { 'content-type': 'application/json' })
      },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    if (!response.ok) throw new Error(await response.text())
    return await response.json() as { state: string, id: string }
  }
  return {
    url: url.href,
    topic,
    admin,
    async connect () {
      await request('PUT', 'connection', { connectionString: url.href })
      while ((await request('GET', 'connection')).state !== 'streaming') await sleep(20)
    },
    async map (table: string) {
      const { id: mappingId } = await request('POST', 'mappings', { table, topic, events: ['insert'], payload })
      await request('POST', 'subscriptions', { mappingId })
    },
    async close () {
      await request('DELETE', 'connection')
      await admin.query(
        'select pg_drop_replication_slot(slot_name) from pg_replication_slots ' +
          "where slot_name = 'bench_bare' and not active"
      )
      await admin.end()
    }
  }
}

export const cdc: Row = {
  name: 'cdc',
  run: context =>
    withCast(context, async cast => {
      const platform = await cast.platform()
      const source = await connected(context, platform, 'bench_cdc')
      const load = await cast.load<CommitsLoad>('load/commits')
      const bare = await cast.server<BareReplicationServer>('servers/bare-replication')
      await load.call('start', source.url, 'numbers')
      await bare.call('start', source.url, 'numbers')
      await source.connect()
      await source.map('numbers')
      const total = transactions * rowsEach
      let written = 0
      // Both sides read a backlog that was written while no reader ran.
      const pair = await alternate(rounds, async () => {
        await platform.child.call('holdReaders', true)
        await load.call('write', 'numbers', transactions, rowsEach)
        written += total
        return await platform.child.call('readingRate', source.topic, written, total)
      }, async () => {
        // The platform reads this side's rows before the measurement, so that it does not compete for CPU.
        await platform.child.call('holdReaders', false)
        await load.call('write', 'numbers', transactions, rowsEach)
        written += total
        await platform.child.call('reached', source.topic, written)
        const { rows, seconds } = await bare.call('round', total)
        return rows / seconds
      })
      const log = await platform.child.call('logTotals', source.topic)
      if (new Set([written, log.events, log.distinctOffsets, log.head]).size !== 1) {
        throw new Error(`lost or doubled: ${written} rows committed, but ${JSON.stringify(log)}`)
      }
      const busy = median(await platform.child.call('busyShares'))
      await source.close()
      return [{
        row: 'cdc',
        what: `rows of ${transactions} × ${rowsEach}-row transactions into the log`,
        unit: 'rows/s',
        ...pair,
        goal: { ratio: 0.3 },
        note: `${spread(pair)}, main thread busy ${Math.round(busy * 100)} %`
      }]
    })
}

export const cdcLatency: Row = {
  name: 'cdc-latency',
  run: context =>
    withCast(context, async cast => {
      const platform = await cast.platform()
      const source = await connected(context, platform, 'bench_cdc_latency')
      const load = await cast.load<CommitsLoad>('load/commits')
      await load.call('start', source.url, 'numbers')
      await source.connect()
      await source.map('numbers')
      await load.call('subscribe', platform.url, platform.token, source.topic)
      await load.call('pace', 'numbers', pacePerSecond, 2)
      const measured: { p50: number, p99: number }[] = []
      for (let i = 0; i < paceRounds; i++) {
        const latencies = await load.call('pace', 'numbers', pacePerSecond, paceSeconds)
        measured.push({ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) })
      }
      await source.close()
      await load.call('end')
      const p99s = measured.map(({ p99 }) => p99)
      return [{
        row: 'cdc-latency',
        what: `p99 from commit to socket at ${pacePerSecond} transactions/s`,
        unit: 'ms',
        platform: median(p99s),
        bare: undefined,
        ratio: undefined,
        goal: { most: 25 },
        note: `${Math.min(...p99s).toFixed(1)}–${Math.max(...p99s).toFixed(1)}, p50 ${
          median(measured.map(({ p50 }) => p50)).toFixed(1)
        }`
      }]
    })
}
