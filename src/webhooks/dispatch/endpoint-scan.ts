import type { BusyEndpoint } from './busy-endpoints.ts'
import type { SwitchedOff } from './endpoint-health.ts'
import type { EndpointWorker } from './endpoint-worker.ts'
import type { EndpointWorkers } from './endpoint-workers.ts'
import type { Queue } from './queue.ts'

/** The endpoints with pending deliveries, at one moment. */
export interface EndpointScan {
  /** The workers of active endpoints with deliveries that may be due. */
  due: EndpointWorker[]
  /** The workers of all active endpoints. */
  active: ReadonlySet<EndpointWorker>
  deactivated: SwitchedOff[]
  /** The time at which the delivery that has waited longest became due, if one is due. */
  oldestDueAt: number | undefined
  /** The time at which the next delivery becomes due, of those that are not due yet. */
  nextDueAt: number | undefined
}

/**
 * Reads which endpoints have pending deliveries, and reloads the settings of their workers. Leaves out endpoints that
 * are changed meanwhile: the next scan reads them.
 */
export async function scanEndpoints (queue: Queue, workers: EndpointWorkers, now: number): Promise<EndpointScan> {
  const active = new Set<EndpointWorker>()
  const scan: EndpointScan = { due: [], active, deactivated: [], oldestDueAt: undefined, nextDueAt: undefined }
  workers.startScan()
  for await (const page of queue.busy()) {
    for (const endpoint of page) {
      if (endpoint.active) {
        const worker = workers.open(endpoint)
        if (worker === undefined) continue
        active.add(worker)
        addActive(scan, worker, endpoint, now)
      } else if (endpoint.deactivated_reason !== null) {
        scan.deactivated.push({ id: endpoint.id, deactivated_reason: endpoint.deactivated_reason })
      }
    }
  }
  return scan
}

function addActive (
  scan: EndpointScan, worker: EndpointWorker, { next_at: nextAt, is_laned: isLaned }: BusyEndpoint, now: number
): void {
  const isDue = nextAt !== null && nextAt <= now
  if (isLaned || isDue) scan.due.push(worker)
  if (isDue) scan.oldestDueAt = Math.min(scan.oldestDueAt ?? Infinity, nextAt)
  else if (nextAt !== null) scan.nextDueAt = Math.min(scan.nextDueAt ?? Infinity, nextAt)
}
