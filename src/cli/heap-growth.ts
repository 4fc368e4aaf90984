import { setFlagsFromString } from 'node:v8'

/**
 * Lets the heap grow to twice the size of its live objects. By default V8 lets a small heap under load grow to four times
 * that, and no process gives the memory back.
 */
export function limitHeapGrowth (): void {
  setFlagsFromString('--heap-growing-percent=100')
}
