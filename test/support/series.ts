import type { FastifyInstance } from 'fastify'
import type { Series } from '../../schemas/metric-series.ts'
import { Counts } from '../../src/debugger/series/counts.ts'
import { toRow, type Kind, type Row, type Subject } from '../../src/debugger/series/row.ts'
import { bucketOf, LatencyCounts } from '../../src/foundation/observability/latency-buckets.ts'
import type { Tenant } from './tenant.ts'

/* Helpers for tests of the metric series. */

export const minuteMs = 60_000
export const quarterMs = 15 * minuteMs
export const hourMs = 60 * minuteMs
export const floorTo = (time: number, ms: number) => Math.floor(time / ms) * ms

/** Stores what the nodes have counted, as of some minutes ago: the current minute is not returned. */
export async function storeAsPast (...apps: [FastifyInstance, ...FastifyInstance[]]): Promise<void> {
  for (const { metricSeries } of apps) await metricSeries.recorder.flush()
  await apps[0].pool.query('update metric_minutes set at = at - $1', [3 * minuteMs])
}

export async function seriesOf (shop: Pick<Tenant, 'request'>, query: string): Promise<Series> {
  const { status, body, text } = await shop.request('GET', `/api/metrics/series?${query}`)
  if (status !== 200) throw new Error(text)
  return body as Series
}

/** The sum of all points. */
export const sumOf = ({ points }: Series): number => points.reduce((sum, [, value]) => sum + (value ?? 0), 0)
export const largestOf = ({ points }: Series): number => Math.max(...points.map(([, value]) => value ?? 0))
export const valuesOf = ({ points }: Series): (number | null)[] => points.map(([, value = null]) => value)

/** Returns a row with some counts and latencies. */
export function rowOf (
  subject: Subject, kind: Kind, name: string, fields: Partial<Row> = {}, latenciesMs: readonly number[] = []
): Row {
  const counts = new Counts()
  const latencies = new LatencyCounts()
  for (const ms of latenciesMs) latencies.add(bucketOf(ms), 1)
  counts.takeLatencies(latencies)
  return { ...toRow(subject, kind, name, counts), ...fields }
}
