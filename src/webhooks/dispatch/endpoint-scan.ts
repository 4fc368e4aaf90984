import type { EndpointWorker } from './endpoint-worker.ts'
import type { EndpointWorkers } from './endpoint-workers.ts'
import type { Queue } from './queue.ts'

/** The result of a scan of the pending deliveries. */
export interface EndpointScan {
  /** The webhooks of which deliveries may have to be given up. */
  failing: string[]
  /** The time at which the delivery that has waited longest became due; `Infinity` if none is due. */
  oldestDueAt: number
  /** The time at which the next delivery becomes due, of those that are not due yet; `Infinity` if there is none. */
  nextDueAt: number
}

/**
 * Reads which endpoints have pending deliveries, reloads the settings of their workers, and marks those with deliveries
 * that may be due. Leaves out endpoints that are changed meanwhile: the next scan reads them. Workers of other
 * endpoints release their deliveries.
 */
export async function scanEndpoints (queue: Queue, workers: EndpointWorkers, now: number): Promise<EndpointScan> {
  const active = new Set<EndpointWorker>()
  const scan: EndpointScan = { failing: [], oldestDueAt: Infinity, nextDueAt: Infinity }
  workers.startScan()
  for await (const page of queue.busy()) {
    for (const endpoint of page) {
      const { id, next_at: nextAt, is_failing: isFailing } = endpoint
      if (isFailing) scan.failing.push(id)
      const worker = endpoint.active ? workers.open(endpoint) : undefined
      if (worker === undefined) continue
      active.add(worker)
      if (nextAt > now) scan.nextDueAt = Math.min(scan.nextDueAt, nextAt)
      else {
        worker.isDue = true
        scan.oldestDueAt = Math.min(scan.oldestDueAt, nextAt)
      }
    }
  }
  workers.stopExcept(active)
  return scan
}
