import type { BareDocuments } from '../servers/bare-documents.ts'
import type { RequestsLoad, Target } from '../load/requests.ts'
import { alternate, spread, type Measurement } from '../measure.ts'
import { withCast, type Cast, type Context, type Row } from '../row.ts'

const documents = 1000
const connections = 50
const rounds = 7
const roundSeconds = 1.5

/** About 200 bytes of JSON. */
const data = {
  status: 'active', participants: 4, title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody Somewhere' }
}

export const read: Row = {
  name: 'read',
  run: context => withCast(context, async cast => {
    const { platform, bare } = await stage(context, cast, { method: 'GET', suffix: '' })
    return [await compare('read', 'GET one document', 0.9, platform.round, bare.round)]
  })
}

export const merge: Row = {
  name: 'merge',
  run: context =>
    withCast(context, async cast => {
      const { platform, bare } = await stage(context, cast, {
        method: 'PATCH', suffix: '/merge', body: JSON.stringify({ data: { status: 'ended', participants: 5 } })
      })
      const measured = await compare(
        'merge', 'merge into a document, acknowledged when durable, with its event', 1.2, platform.round, bare.round
      )
      const totals = await platform.child.call('documentTotals')
      const acknowledged = platform.count()
      if (new Set([acknowledged, totals.revisions, totals.updates, totals.distinctOffsets, totals.head]).size !== 1) {
        throw new Error(`lost or doubled: ${acknowledged} merges acknowledged, but ${JSON.stringify(totals)}`)
      }
      const stored = await bare.child.call('revisions')
      if (stored !== bare.count()) {
        throw new Error(`lost or doubled: ${bare.count()} updates acknowledged, ${stored} stored`)
      }
      return [measured]
    })
}

async function stage (
  context: Context, cast: Cast, { method, suffix, body }: { method: string, suffix: string, body?: string }
) {
  const platform = await cast.platform()
  const bareChild = await cast.server<BareDocuments>('servers/bare-documents')
  const { url } = await bareChild.call('start', context.databaseUrl)
  await platform.child.call('seedDocuments', documents, data)
  await bareChild.call('seedDocuments', documents, data)
  const ids = Array.from({ length: documents }, (_, i) => `d${(i * 7919) % documents}`)
  const common = {
    method,
    connections,
    status: 200,
    contains: '"title":"The quick brown fox',
    ...(body !== undefined && { body })
  }
  return {
    platform: {
      child: platform.child,
      ...await aim(cast, {
        ...common,
        url: platform.url,
        token: platform.token,
        paths: ids.map(id => `/api/sync/bench/documents/${id}${suffix}`)
      })
    },
    bare: { child: bareChild, ...await aim(cast, { ...common, url, paths: ids.map(id => `/documents/${id}`) }) }
  }
}

async function aim (cast: Cast, target: Target) {
  const load = await cast.load<RequestsLoad>('load/requests')
  await load.call('aim', target)
  let count = 0
  return {
    count: () => count,
    async round (): Promise<number> {
      const { requests, seconds } = await load.call('round', roundSeconds)
      count += requests
      return requests / seconds
    }
  }
}

async function compare (
  row: string, what: string, goal: number, platform: () => Promise<number>, bare: () => Promise<number>
): Promise<Measurement> {
  const pair = await alternate(rounds, platform, bare)
  return { row, what, unit: 'requests/s', ...pair, goal: { ratio: goal }, note: spread(pair) }
}
