import { setFlagsFromString } from 'node:v8'

/**
 * Lets the heap grow to twice what lives in it, as Go's does. Left alone, V8 lets a small heap under load grow to four times that, and
 * no process gives back all that it once had: a row change or an event lives a little too long to die young.
 */
export function limitHeapGrowth (): void {
  setFlagsFromString('--heap-growing-percent=100')
}
