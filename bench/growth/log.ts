import type { RequestsLoad } from '../load/requests.ts'
import { median } from '../measure.ts'
import type { Cast } from '../row.ts'
import type { Growth } from './growth.ts'

const topic = 'bench.growth'
const sizes = [0, 100_000, 1_000_000, 5_000_000, 20_000_000]
const rounds = 3
const roundSeconds = 2
const pageEvents = 100

export const logWrites: Growth = {
  name: 'log writes',
  what: 'publish one event',
  of: 'events in the log',
  unit: 'µs a request',
  sizes,
  claim: 'flat',
  prepare: cast =>
    costOf(
      cast, () => ({ method: 'POST', path: '', body: '{"payload":{"status":"active","participants":4}}', status: 201 })
    )
}

export const logReads: Growth = {
  name: 'log reads',
  what: `read ${pageEvents} events from the middle of the log`,
  of: 'events in the log',
  unit: 'µs a request',
  sizes: [pageEvents * 10, ...sizes.slice(1)],
  claim: 'flat',
  prepare: cast =>
    costOf(cast, size => ({ method: 'GET', path: `?after=${Math.floor(size / 2)}&limit=${pageEvents}`, status: 200 }))
}

export const logReadsByTime: Growth = {
  name: 'log reads by time',
  what: `read ${pageEvents} events from a time in the middle of the log`,
  of: 'events in the log',
  unit: 'µs a request',
  sizes: [pageEvents * 10, ...sizes.slice(1)],
  claim: 'flat',
  prepare: cast =>
    costOf(cast, (_size, middleAt) => ({ method: 'GET', path: `?from=${middleAt}&limit=${pageEvents}`, status: 200 }))
}

interface Asked { method: string, path: string, body?: string, status: number }

async function costOf (
  cast: Cast, toRequest: (size: number, middleAt: number) => Asked
): Promise<(size: number) => Promise<number>> {
  const platform = await cast.platform()
  await platform.child.call('registerTopic', topic)
  return async size => {
    const middleAt = await platform.child.call('growLog', topic, size)
    const { path, ...request } = toRequest(size, middleAt)
    const load = await cast.load<RequestsLoad>('load/requests')
    await load.call('aim', {
      url: platform.url,
      token: platform.token,
      paths: [`/api/topics/${topic}/events${path}`],
      connections: 20,
      contains: '"offset":',
      ...request
    })
    await load.call('round', 1)
    const costs: number[] = []
    for (let i = 0; i < rounds; i++) {
      const { requests, seconds } = await load.call('round', roundSeconds)
      costs.push(seconds * 1e6 / requests)
    }
    return median(costs)
  }
}
