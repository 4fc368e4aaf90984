import t from 'tap'
import { connectionsNeeded, poolShare } from '../../src/cli/connection-share.ts'
import { heapArguments } from '../../src/cli/worker-memory.ts'
import { createConfig } from '../../src/config.ts'
import { coresOf, workerCount } from '../../src/config/worker-count.ts'
import { joinReadiness } from '../../src/foundation/observability/health.ts'
import { joinMetrics } from '../../src/foundation/observability/worker-metrics.ts'

/* The parts of WORKERS that need no process. test/faults/workers.test.ts has the others. */

t.test('WORKERS is a number or auto; anything else is refused with the value', async t => {
  const countOf = (WORKERS: string, more = {}) => createConfig({ WORKERS, ...more }).workers.count
  t.equal(createConfig({}).workers.count, 1)
  t.equal(countOf('2'), 2)
  t.equal(countOf('128'), 128)
  t.equal(countOf(''), 1, 'an empty value counts as unset')
  for (const wrong of ['0', '-1', '129', '1.5', '2x', 'Auto', 'all', '1e2', '0x2', 'NaN', ' 2']) {
    t.throws(() => countOf(wrong), {
      message: `WORKERS must be \`auto\` or a whole number from 1 to 128 (it is ${JSON.stringify(wrong)})`
    }, wrong)
  }
  t.ok(countOf('auto', { DATABASE_URL: 'postgres://db/realtime' }) >= 1)
})

t.test('auto is one worker per core, less one for the embedded PostgreSQL', async t => {
  const auto = (cores: number, isWithDatabase: boolean) => workerCount('auto', isWithDatabase, cores, [])
  t.same([1, 2, 8].map(cores => auto(cores, true)), [1, 1, 7])
  t.same([1, 2, 8, 500].map(cores => auto(cores, false)), [1, 2, 8, 128])
})

t.test('the quota of a container limits the cores', async t => {
  const all = coresOf('max 100000')
  t.ok(all >= 1)
  t.equal(coresOf(''), all)
  t.equal(coresOf('100000 100000'), 1)
  t.equal(coresOf('50000 100000'), 1, 'less than one is one')
  t.equal(coresOf('99900000 100000'), all)
})

t.test('workers share the memory', async t => {
  const [one, two] = ['1', '2'].map(WORKERS =>
    createConfig({ WORKERS, MEMORY_BYTES_MAX: String(2 * 1024 ** 3) }).http.rssBytesMax
  )
  t.equal(two, Math.floor(1024 ** 3 * 0.9))
  t.equal(one, Math.floor(2 * 1024 ** 3 * 0.9))
  t.same(heapArguments(undefined), [])
  t.same(heapArguments(512 * 1024 ** 2), ['--max-old-space-size=384'])
  t.same(heapArguments(1024 ** 5), [], 'a heap that fits keeps its size')
})

t.test('workers share the connections of PostgreSQL', async t => {
  t.equal(poolShare(2, 200), 16)
  t.equal(poolShare(4, 97), 13)
  for (const workers of [1, 2, 3, 7, 16, 128]) {
    t.equal(poolShare(workers, connectionsNeeded(workers)), 16, `the limit of the embedded one fits ${workers}`)
    for (const limit of [40, 97, 197, 500, 1000]) {
      let pool = 0
      try {
        pool = poolShare(workers, limit)
      } catch {
        continue
      }
      t.ok((pool + 8) * workers <= limit, `${workers} workers stay below ${limit}`)
    }
  }
  t.throws(() => poolShare(10, 97), {
    message: 'WORKERS: PostgreSQL allows 97 connections, which is enough for 7 workers, not for 10. Raise ' +
      'max_connections, or set WORKERS to 7.'
  })
})

t.test('the metrics of workers have the label worker, and one head for each metric', async t => {
  const one = [
    '# HELP a The first {metric}.', '# TYPE a counter', 'a 1', '', '# HELP h Times.', '# TYPE h histogram',
    'h_bucket{le="0.5",route="/x y{z}"} 2', 'h_sum{route="/x y{z}"} 0.5', ''
  ].join('\n')
  const two = [
    '# HELP a The first {metric}.', '# TYPE a counter', 'a 3', '', '# HELP b Later.', '# TYPE b gauge', 'b 4', ''
  ].join('\n')
  t.equal(joinMetrics(new Map([['1', one], ['2', two]])), [
    '# HELP a The first {metric}.', '# TYPE a counter', 'a{worker="1"} 1', 'a{worker="2"} 3', '',
    '# HELP h Times.', '# TYPE h histogram', 'h_bucket{worker="1",le="0.5",route="/x y{z}"} 2',
    'h_sum{worker="1",route="/x y{z}"} 0.5', '', '# HELP b Later.', '# TYPE b gauge', 'b{worker="2"} 4', ''
  ].join('\n'))
})

t.test('a component has failed when it has failed in every worker', async t => {
  const answer = (status: string, more = {}) => JSON.stringify({ database: { status, ...more }, cdc: { status: 'ok' } })
  t.same(joinReadiness([answer('ok'), answer('ok')], 2), {
    workers: { status: 'ok' }, database: { status: 'ok' }, cdc: { status: 'ok' }
  })
  t.match(joinReadiness([answer('ok'), answer('failed', { message: 'm' })], 2), {
    database: { status: 'degraded', message: 'm' }
  })
  t.match(joinReadiness([answer('failed'), answer('degraded')], 2), { database: { status: 'degraded' } })
  t.match(joinReadiness([answer('failed'), answer('failed')], 2), { database: { status: 'failed' } })
  t.match(joinReadiness([answer('ok'), null], 3), {
    workers: { status: 'degraded', message: '1 of 3 workers answer' }, database: { status: 'ok' }
  })
})
