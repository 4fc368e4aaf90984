import t from 'tap'
import type { DatabaseConnection } from '../../../schemas/database.ts'
import { testKey } from '../../support/build.ts'
import { createDatabase } from '../../support/database.ts'
import { call, made } from '../../support/rest.ts'
import { dataFolder, start } from '../../support/server-process.ts'
import { setUp } from '../../support/shop.ts'
import { createSource } from '../../support/source-database.ts'
import { pace, until } from '../../support/waiting.ts'

/*
 * A large transaction does not fill the memory of the node or block other requests. CDC_ROWS sets its size; the output
 * has the measurements in comments.
 */

const rows = Number(process.env['CDC_ROWS'] ?? 30_000)
t.setTimeout(120_000 + rows)

const megabytes = (bytes: number) => Math.round(bytes / 1024 / 1024)

t.test(`a transaction of ${rows} rows is read in bounded memory`, async t => {
  const source = await createSource(t)
  const server = await start(t, {
    dataDir: await dataFolder(t), variables: { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey }
  })
  const url = server.address
  const { token } = await setUp(url)
  const request = <T>(method: string, path: string, body?: unknown) =>
    made<T>(call(method, `${url}${path}`, { token, ...(body !== undefined && { body }) }))
  await source.sql('create table large (id int primary key, status text, note text)')
  await source.sql('create table small (id int primary key)')
  await request('PUT', '/api/database/connection', { connectionString: source.url })
  await until(
    async () => (await request<DatabaseConnection>('GET', '/api/database/connection')).state === 'streaming',
    'the stream'
  )
  for (const [table, topic] of [['large', 'large.rows'], ['small', 'small.rows']] as const) {
    await request('POST', '/api/topics', { name: topic, description: 'A test', owner: 'tests' })
    const { id } = await request<{ id: string }>('POST', '/api/database/mappings', { table, topic, events: ['insert'] })
    await request('POST', '/api/database/subscriptions', { mappingId: id })
  }
  await request('POST', '/api/sync/cart/documents', { id: 'one', data: {} })
  const processMetric = async (name: string) => {
    const text = await (await fetch(`${url}/api/metrics/prometheus`)).text()
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
  }
  const headOf = async (topic: string, after: number) => {
    const events = await request<{ offset: number }[]>('GET', `/api/topics/${topic}/events?after=${after}&limit=1`)
    return events.length > 0
  }
  // Typical memory of a running node: reads and writes of every kind.
  const idle: number[] = []
  const write = async (times: number[]) => {
    const began = performance.now()
    await request('PATCH', '/api/sync/cart/documents/one/merge', { data: { n: times.length } })
    times.push(performance.now() - began)
  }
  for (let i = 0; i < 300; i++) await write(idle)
  const before = await processMetric('process_resident_memory_bytes')
  let peak = before
  const ending = new AbortController()
  const over = ending.signal
  const latencies: number[] = []
  const probing = Promise.all([
    (async () => {
      while (!over.aborted) {
        await write(latencies)
        await pace(20)
      }
    })(),
    (async () => {
      while (!over.aborted) {
        peak = Math.max(peak, await processMetric('process_resident_memory_bytes'))
        await pace(100)
      }
    })()
  ])
  const began = performance.now()
  await source.sql(
    `insert into large select n, 'active', 'The quick brown fox jumps over the lazy dog ' || n
    from generate_series(1, ${rows}) n`
  )
  const committed = performance.now()
  await source.sql('insert into small values (1)')
  await until(() => headOf('large.rows', rows - 1), 'the last row', 100_000 + rows)
  const seconds = (performance.now() - committed) / 1000
  ending.abort()
  await probing
  await until(() => headOf('small.rows', 0), 'the transaction after it')
  t.notOk(await headOf('large.rows', rows), 'no duplicate')
  const at = (times: number[], share: number) =>
    `${times.sort((a, b) => a - b)[Math.floor(times.length * share)]?.toFixed(1) ?? '?'} ms`
  t.comment(
    `${rows} rows: committed in ${((committed - began) / 1000).toFixed(1)} s, stored in ${seconds.toFixed(1)} s (${
      Math.round(rows / seconds)
    } rows/s)`
  )
  t.comment(
    `resident memory ${megabytes(before)} MB, at most ${megabytes(peak)} MB: ${megabytes(peak - before)} MB more`
  )
  t.comment(
    `${latencies.length} document writes meanwhile: p50 ${at(latencies, 0.5)}, p99 ${
      at(latencies, 0.99)
    }; before: p50 ${at(idle, 0.5)}, p99 ${at(idle, 0.99)}`
  )
  t.ok(peak - before < 200 * 1024 * 1024, `${megabytes(peak - before)} MB more`)
})
