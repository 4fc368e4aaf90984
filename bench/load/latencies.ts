import { answerCalls } from '../children.ts'
import { nowUs } from '../clock.ts'
import { percentile } from '../measure.ts'
import type { Audience } from './sockets.ts'
import { numberAt, Subscriber } from './subscriber.ts'

/** Milliseconds. */
export interface Timing { deliveries: number, p50: number, p99: number, max: number }

const timeoutMs = 30_000
const atField = Buffer.from('"at":')

let latenciesUs: number[] = []
let fault: string | undefined
let onArrival: () => void = () => {}

async function gather ({ clients, topic, ...audience }: Audience): Promise<void> {
  await Promise.all(Array.from({ length: clients }, async () => {
    const subscriber = new Subscriber({
      ...audience,
      onEvent (chunk, start) {
        latenciesUs.push(nowUs() - numberAt(chunk, chunk.indexOf(atField, start) + atField.length))
        onArrival()
      },
      onFault: message => { fault ??= message; onArrival() }
    })
    await subscriber.subscribe(topic)
  }))
}

/**
 * Waits until `count` events have arrived since the last call, and returns the time of each from its due time to its
 * arrival.
 */
async function timing (deliveries: number): Promise<Timing> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`lost: ${latenciesUs.length} of ${deliveries} deliveries`)),
      timeoutMs
    )
    onArrival = () => {
      if (fault === undefined && latenciesUs.length < deliveries) return
      clearTimeout(timer)
      if (fault === undefined && latenciesUs.length === deliveries) resolve()
      else reject(new Error(fault ?? `doubled: ${latenciesUs.length} of ${deliveries} deliveries`))
    }
    onArrival()
  })
  const sorted = Float64Array.from(latenciesUs).sort()
  latenciesUs = []
  onArrival = () => {}
  const at = (share: number) => percentile(sorted, share) / 1000
  return { deliveries, p50: at(0.5), p99: at(0.99), max: at(1) }
}

const methods = { gather, timing }
export type LatenciesLoad = typeof methods
answerCalls(methods)
