import { answerCalls } from '../../bench/children.ts'
import { RawWebSocket } from '../../bench/load/raw-web-socket.ts'
import { numberAt, type TransportName } from '../../bench/load/subscriber.ts'
import { until } from './waiting.ts'

/*
 * Many clients in a separate process, so that the server's figures exclude them. Each checks that its offsets arrive
 * once and in order. Events whose payload has their publish time (`{"at": µs}`) are timed.
 */

export interface Storm {
  url: string
  token: string
  transport: TransportName
  clients: number
  topic: string
  /** The offset that each client resumes after; without it each starts live. */
  after?: number
}

const connectingAtOnce = 500
const timeoutMs = 100_000
const offsetField = Buffer.from('"offset":')
const atField = Buffer.from('"at":')
const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000)

/** One client, which connects, subscribes and follows the topic. */
class Member {
  offset = -1
  isPaused = false
  readonly #socket: RawWebSocket
  readonly #answers: ((text: string) => void)[] = []
  #isSubscribing = false
  get topic () { return this.#storm.topic }
  readonly #storm: Storm
  readonly #isReady: Promise<unknown>

  constructor (storm: Storm) {
    this.#storm = storm
    const isPlain = storm.transport === '/ws'
    this.#isReady = isPlain
      ? this.#answer()
      : this.#answer().then(() => this.#request(`40${JSON.stringify({ token: storm.token })}`))
    this.#socket = new RawWebSocket(storm.url, isPlain ? '/ws' : '/socket.io/?EIO=4&transport=websocket', {
      headers: isPlain ? { authorization: `Bearer ${storm.token}` } : {},
      onText: (chunk, start, end) => this.#take(chunk, start, end),
      onClose: reason => { if (!this.isPaused) faults.push(`cut off: ${reason}`) }
    })
  }

  async subscribe (): Promise<void> {
    await this.#isReady
    const { transport, topic, after } = this.#storm
    const fields = { topic, ...(after !== undefined && { after }) }
    this.#isSubscribing = true
    const text = await this.#request(
      transport === '/ws'
        ? JSON.stringify({ type: 'subscribe', ...fields })
        : `420${JSON.stringify(['subscribe', fields])}`
    )
    if (this.offset < 0 || (after !== undefined && !text.includes('"recovered":true'))) faults.push(text)
  }

  pause (): void {
    this.isPaused = true
    this.#socket.pause()
  }

  close (): void {
    this.#socket.close()
  }

  #answer (): Promise<string> {
    return new Promise(resolve => this.#answers.push(resolve))
  }

  #request (text: string): Promise<string> {
    const answer = this.#answer()
    this.#socket.send(text)
    return answer
  }

  #take (chunk: Buffer, start: number, end: number): void {
    const found = chunk.indexOf(atField, start)
    if (found === -1 || found > end) {
      const text = chunk.toString('latin1', start, end)
      if (text === '2') return this.#socket.send('3')
      // Immediately: its events may arrive in the same chunk.
      if (this.#isSubscribing) this.offset = Number(/"offset":(\d+)/.exec(text)?.[1] ?? -1)
      this.#isSubscribing = false
      this.#answers.shift()?.(text)
      return
    }
    const offset = numberAt(chunk, chunk.indexOf(offsetField, start) + offsetField.length)
    if (offset !== this.offset + 1) faults.push(`offset ${offset} after ${this.offset}`)
    this.offset = offset
    if (this.topic === timedTopic) latenciesUs.push(nowUs() - numberAt(chunk, found + atField.length))
  }
}

const members: Member[] = []
const faults: string[] = []
let timedTopic: string | undefined
let latenciesUs: number[] = []

/** Connects all clients, several at once, and returns the time until the last was acknowledged. */
async function gather (storm: Storm): Promise<number> {
  const begin = performance.now()
  let left = storm.clients
  await Promise.all(Array.from({ length: Math.min(connectingAtOnce, left) }, async () => {
    while (left-- > 0) {
      const member = new Member(storm)
      members.push(member)
      await member.subscribe()
    }
  }))
  return performance.now() - begin
}

/** Waits until all readers have reached an offset, and returns the time and the errors. */
async function arrival (topic: string, offset: number): Promise<{ ms: number, faults: string[] }> {
  const begin = performance.now()
  const isBehind = (member: Member) => member.topic === topic && !member.isPaused && member.offset < offset
  await until(() => faults.length > 0 || !members.some(isBehind), 'the offset', timeoutMs).catch(() => {
    faults.push(`${members.filter(isBehind).length} did not reach ${offset}`)
  })
  return { ms: performance.now() - begin, faults: faults.slice(0, 5) }
}

/** Makes the first `count` clients stop reading. */
function stopReading (count: number): void {
  for (const member of members.slice(0, count)) member.pause()
}

function startTiming (topic: string): void {
  timedTopic = topic
  latenciesUs = []
}

/** Returns the milliseconds from publication to arrival, over all events and clients since `startTiming`. */
function timing (): { count: number, p50: number, p99: number, max: number } {
  timedTopic = undefined
  const sorted = Float64Array.from(latenciesUs).sort()
  const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN) / 1000
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

function disperse (): void {
  for (const member of members.splice(0)) member.close()
  faults.length = 0
}

const methods = { gather, arrival, stopReading, startTiming, timing, disperse }
export type Crowd = typeof methods
answerCalls(methods)
