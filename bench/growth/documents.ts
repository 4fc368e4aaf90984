import type { RequestsLoad } from '../load/requests.ts'
import { median } from '../measure.ts'
import type { Cast } from '../row.ts'
import type { Growth } from './growth.ts'

const sizes = [1000, 10_000, 100_000, 1_000_000, 5_000_000]
/** Number of requested documents, spread over all. */
const asked = 1000
const rounds = 3
const roundSeconds = 2

export const documentReads: Growth = {
  name: 'document reads',
  what: 'GET one document of many',
  of: 'documents',
  unit: 'µs a request',
  sizes,
  claim: 'flat',
  prepare: cast => costOf(cast, { method: 'GET', suffix: '' })
}

export const documentWrites: Growth = {
  name: 'document writes',
  what: 'merge into one document of many',
  of: 'documents',
  unit: 'µs a request',
  sizes,
  claim: 'flat while the touched pages fit the memory',
  prepare: cast => costOf(cast, { method: 'PATCH', suffix: '/merge', body: '{"data":{"status":"ended"}}' })
}

async function costOf (
  cast: Cast, { method, suffix, body }: { method: string, suffix: string, body?: string }
): Promise<(size: number) => Promise<number>> {
  const platform = await cast.platform()
  let documents = 0
  return async size => {
    await platform.child.call('growDocuments', documents, size)
    documents = size
    const load = await cast.load<RequestsLoad>('load/requests')
    await load.call('aim', {
      url: platform.url,
      token: platform.token,
      method,
      paths: Array.from(
        { length: asked },
        (_, i) => `/api/sync/bench/documents/d${Math.floor(i * size / asked)}${suffix}`
      ),
      ...(body !== undefined && { body }),
      connections: 50,
      status: 200,
      contains: '"status":'
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
