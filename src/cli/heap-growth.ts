import { setFlagsFromString } from 'node:v8'

/**
 * Lets the heap grow to twice its live data. By default V8 lets a small heap under load grow to four times that, and a
 * process rarely gives memory back.
 */
export function limitHeapGrowth (): void {
  setFlagsFromString('--heap-growing-percent=100')
}
