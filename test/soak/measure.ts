import { startChild, type Child } from '../../bench/children.ts'
import { HttpConnection, encodeRequest } from '../../bench/load/http-connection.ts'
import type { TransportName } from '../../bench/load/subscriber.ts'
import type { PlatformServer } from '../../bench/servers/platform.ts'
import type { Crowd } from '../support/crowd.ts'
import { createDatabase } from '../support/database.ts'
import { elapse, pace } from '../support/waiting.ts'

/*
 * node --import tsx test/soak/measure.ts storm|stopped [socket.io|/ws]
 *
 * `storm`: 5,000 sockets reconnect at once, with 100 events to resume each, while events are published. `stopped`: one
 * reader among 1,000 stops; measures the others with and without it, in turn.
 */

const [what = 'storm', transport = '/ws'] = process.argv.slice(2)
const teardowns: (() => Promise<void> | void)[] = []
const databaseUrl = await createDatabase({ teardown: work => { teardowns.unshift(work) } })
const server = await startChild<PlatformServer>('servers/platform', { execArgv: ['--expose-gc'] })
const { url, token } = await server.call('start', databaseUrl)
const publisher = await HttpConnection.open(url)

const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000)

async function publish (topic: string, payloads: object[]): Promise<number> {
  const begin = performance.now()
  const { status, body } = await publisher.request(
    encodeRequest(url, 'POST', `/api/topics/${topic}/events`, {
      token,
      body: JSON.stringify({ events: payloads.map(payload => ({ payload })) })
    })
  )
  if (status !== 201) throw new Error(`${status} ${body.toString()}`)
  return performance.now() - begin
}

const percentiles = (values: number[]) => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1)
  return { count: values.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** Publishes single events at an interval until it is stopped. */
function probe (topic: string, everyMs = 10) {
  const latencies: number[] = []
  const state = { isOver: false }
  const running = (async () => {
    while (!state.isOver) {
      const took = await publish(topic, [{ n: 1 }])
      latencies.push(took)
      await pace(Math.max(0, everyMs - took))
    }
  })()
  return async () => { state.isOver = true; await running; return percentiles(latencies) }
}

async function storm (crowd: Child<Crowd>): Promise<void> {
  const clients = Number(process.env['STORM_CLIENTS'] ?? 5000)
  const topic = await server.call('registerTopic', 'storm.events')
  const probes = await server.call('registerTopic', 'storm.probe')
  for (let n = 0; n < 1000; n += 500) {
    await publish(topic, Array.from({ length: 500 }, () => ({ at: 1, text: 'x'.repeat(200) })))
  }
  const before = probe(probes)
  await elapse(5000)
  console.log('publish before the storm, ms', await before())
  const during = probe(probes)
  const begin = performance.now()
  const gathered = await crowd.call('gather', {
    url, token, transport: transport as TransportName, clients, topic, after: 900
  })
  const { faults } = await crowd.call('arrival', topic, 1000)
  console.log(
    `${clients} connected, acknowledged in ${Math.round(gathered)} ms; all caught up after ${
      Math.round(performance.now() - begin)
    } ms`,
    faults
  )
  console.log('publish during the storm, ms', await during())
  const after = probe(probes)
  await elapse(3000)
  console.log('publish afterwards, ms', await after())
  console.log('memory of the server', Math.round(await server.call('memoryBytes') / 1e6), 'MB')
}

async function stopped (crowd: Child<Crowd>): Promise<void> {
  const topic = await server.call('registerTopic', 'stopped.events')
  const heavy = await server.call('registerTopic', 'stopped.heavy')
  const who = { url, token, transport: transport as TransportName }
  let head = 0
  const round = async (stop: number) => {
    // One client has far more to read than the others, and reads it or not.
    await crowd.call('gather', { ...who, clients: 1, topic: heavy })
    await crowd.call('stopReading', stop)
    await crowd.call('gather', { ...who, clients: 999, topic })
    await crowd.call('startTiming', topic)
    let most = 0
    for (let i = 0; i < 300; i++) {
      const begin = performance.now()
      await publish(heavy, Array.from({ length: 4 }, () => ({ at: 1, text: 'x'.repeat(30_000) })))
      await publish(topic, [{ at: nowUs(), text: 'x'.repeat(200) }])
      head++
      if (i % 50 === 49) most = Math.max(most, await server.call('memoryBytes'))
      await pace(Math.max(0, 50 - (performance.now() - begin)))
    }
    const { faults } = await crowd.call('arrival', topic, head)
    const timing = await crowd.call('timing')
    console.log(
      stop === 0 ? 'all read          ' : `${stop} of them stopped`,
      timing,
      `memory ${Math.round(most / 1e6)} MB`,
      ...faults
    )
    await crowd.call('disperse')
    await elapse(1000)
    return timing.p99
  }
  await round(0)
  const [without, withOne] = [[] as number[], [] as number[]]
  for (let i = 0; i < 5; i++) {
    without.push(await round(0))
    withOne.push(await round(1))
  }
  const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN
  console.log(
    `p99 with a stopped reader / without, medians of 5: ${median(withOne).toFixed(1)} / ${
      median(without).toFixed(1)
    } = ${(median(withOne) / median(without)).toFixed(2)}`
  )
}

const crowd = await startChild<Crowd>('../test/support/crowd')
try {
  await (what === 'storm' ? storm : stopped)(crowd)
} finally {
  publisher.close()
  await crowd.stop()
  await server.stop()
  for (const teardown of teardowns) await teardown()
}
