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
