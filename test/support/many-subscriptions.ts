import { RealtimeClient, type Subscription } from '@realtime-platform/client'

/*
 * A client with many subscriptions in a process of its own, so that its heap is not mixed with that of the server.
 * Needs `--expose-gc`. The parent calls its methods by IPC, one after the other.
 */

export interface Received {
  /** The least and the most events that one subscription has had. */
  least: number
  most: number
  /** Events out of order, or of another subscription's filter. */
  wrong: number
  gaps: number
  /** Codes of emitted errors, and close codes of the server. */
  errors: (string | number)[]
}

/** The code of a link that was cut, not closed by the server. */
const abnormalClosure = 1006

const [url = '', token = '', count = '', ...topics] = process.argv.slice(2)
const errors: Received['errors'] = []
const client = new RealtimeClient({ url, token, autoConnect: false, reconnectionDelay: 20, lingerMs: 20 })
client.on('error', error => errors.push(error.code))
client.on('connection', ({ code }) => { if (code !== undefined && code !== abnormalClosure) errors.push(code) })

const subscriptions: Subscription[] = []
/** Allocated in advance, and so no part of what the subscriptions add to the heap. */
const counts = new Uint32Array(Number(count))
const offsets = new Float64Array(Number(count))
let wrong = 0
let gaps = 0

const topicOf = (n: number) => client.topic(topics[n % topics.length] ?? '')

function subscribe (n: number): Subscription {
  return topicOf(n).subscribe(({ payload, offset }) => {
    if (payload.n !== n || offset <= (offsets[n] ?? 0)) wrong++
    offsets[n] = offset
    counts[n] = (counts[n] ?? 0) + 1
  }, { filter: { n }, onGap: () => { gaps++ } })
}

const methods = {
  /** Connects, subscribes once and publishes, so that later calls find all code loaded. */
  async warmUp (): Promise<void> {
    await client.connect()
    const subscription = subscribe(0)
    await subscription.ready
    await topicOf(0).publish({ n: 0 })
    while (counts[0] === 0) await new Promise(resolve => setImmediate(resolve))
    subscription.unsubscribe()
    counts[0] = 0
  },
  async subscribe (): Promise<void> {
    for (let n = 0; n < counts.length; n++) subscriptions.push(subscribe(n))
    await Promise.all(subscriptions.map(({ ready }) => ready))
  },
  async unsubscribe (): Promise<void> {
    for (const subscription of subscriptions.splice(0)) subscription.unsubscribe()
  },
  /** Returns the bytes of live objects. */
  async heapUsed (): Promise<number> {
    if (gc === undefined) throw new Error('start this process with --expose-gc')
    // A second collection takes what finalizers have released.
    for (let i = 0; i < 2; i++) {
      gc({ execution: 'sync' })
      await new Promise(resolve => setImmediate(resolve))
    }
    return process.memoryUsage().heapUsed
  },
  async received (): Promise<Received> {
    return { least: Math.min(...counts), most: Math.max(...counts), wrong, gaps, errors }
  }
}
export type ManySubscriptions = typeof methods

process.on('message', (method: keyof ManySubscriptions) => {
  methods[method]().then(
    value => process.send?.({ value }),
    (error: Error) => process.send?.({ error: error.stack ?? error.message })
  )
})
