import { monitorEventLoopDelay } from 'node:perf_hooks'

/** User and system time of this process so far. */
export function cpuSeconds (): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** What lives: heap, buffers and what else V8 knows of, after a collection. Needs `--expose-gc`. */
export function memoryBytes (): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const loopDelay = monitorEventLoopDelay({ resolution: 5 })

export interface Vitals { liveBytes: number, residentBytes: number, resources: number, loopDelayP99Ms: number }

/** How the process is, and how late its event loop was since the last call. Needs `--expose-gc`. */
export function vitals (): Vitals {
  loopDelay.enable()
  const loopDelayP99Ms = loopDelay.percentile(99) / 1e6
  const measured = {
    liveBytes: memoryBytes(),
    residentBytes: process.memoryUsage.rss(),
    resources: process.getActiveResourcesInfo().length,
    loopDelayP99Ms
  }
  // The collection above is not to be counted.
  loopDelay.reset()
  return measured
}
