import { getHeapStatistics } from 'node:v8'

/** The share of a worker's memory that its heap may use; the rest is for buffers. */
const heapShare = 0.75

/** Returns the arguments with which a worker's heap fits into its share of the memory, if that has a limit. */
export function heapArguments (memoryBytesMax: number | undefined): string[] {
  if (memoryBytesMax === undefined) return []
  const heapBytes = memoryBytesMax * heapShare
  return getHeapStatistics().heap_size_limit <= heapBytes
    ? []
    : [`--max-old-space-size=${Math.floor(heapBytes / 1024 ** 2)}`]
}
