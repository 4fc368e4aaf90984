import { withCast, type Context } from '../row.ts'
import { documentReads, documentWrites } from './documents.ts'
import type { Grown, Growth } from './growth.ts'
import { logReads, logReadsByTime, logWrites } from './log.ts'
import { sockets } from './sockets.ts'
import { subscriptions } from './subscriptions.ts'

export const growths: readonly Growth[] = [
  sockets, subscriptions, documentReads, documentWrites, logWrites, logReads, logReadsByTime
]

/** Measures the requested growths, each with its own servers, at its sizes up to `upTo`. */
export async function measureGrowths (context: Context, wanted: readonly string[], upTo: number): Promise<Grown[]> {
  const measured: Grown[] = []
  for (const growth of growths) {
    if (!wanted.includes(growth.name)) continue
    measured.push(await withCast(context, async cast => {
      const costAt = await growth.prepare(cast)
      const costs: number[] = []
      for (const size of growth.sizes.filter(size => size <= upTo)) {
        process.stderr.write(`${growth.name} at ${size.toLocaleString('en')} …\n`)
        costs.push(await costAt(size))
      }
      return { growth, costs }
    }))
  }
  return measured
}
