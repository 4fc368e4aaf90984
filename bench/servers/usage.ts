import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Returns the user and system time of this process. */
export function cpuSeconds (): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** Returns the live bytes after a collection: heap, buffers and other memory that V8 tracks. Requires `--expose-gc`. */
export function memoryBytes (): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const loopDelay = monitorEventLoopDelay({ resolution: 5 })

export interface Vitals { liveBytes: number, residentBytes: number, resources: number, loopDelayP99Ms: number }

/** Returns the vitals of the process, and the delay of its event loop since the last call. Requires `--expose-gc`. */
export function vitals (): Vitals {
  loopDelay.enable()
  const loopDelayP99Ms = loopDelay.percentile(99) / 1e6
  const measured = {
    liveBytes: memoryBytes(),
    residentBytes: process.memoryUsage.rss(),
    resources: process.getActiveResourcesInfo().length,
    loopDelayP99Ms
  }
  // Excludes the collection above.
  loopDelay.reset()
  return measured
}
