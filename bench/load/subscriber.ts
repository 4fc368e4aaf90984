import { setTimeout as sleep } from 'node:timers/promises'
import { RawWebSocket } from './raw-web-socket.ts'

export type TransportName = 'socket.io' | '/ws'

export interface SubscriberOptions {
  url: string
  transport: TransportName
  token: string
  /** Called with the message of each event. If its offset is not the next one, `onFault` is called instead. */
  onEvent (chunk: Buffer, start: number, end: number): void
  onFault (message: string): void
}

const offsetField = Buffer.from('"offset":')
/** Position of `event` in `42["event",…` and in `{"type":"event",…`. */
const eventPlace = { 'socket.io': 4, '/ws': 9 } as const
/** One event in this many is checked for its subscription. */
const sampledOffsets = 10
const letterE = 'e'.charCodeAt(0)
/** After this time the platform treats a client as slowed down. */
const pauseMs = 1100
const letterV = 'v'.charCodeAt(0)

/** A client with subscriptions to one topic. It checks that every offset arrives once and in order. */
export class Subscriber {
  events = 0
  /** The subscription that every event must name; the counterpart sends none. */
  #subscription: Buffer | undefined
  #offset = -1
  readonly #socket: RawWebSocket
  readonly #options: SubscriberOptions
  readonly #eventPlace: number
  readonly #answers: ((text: string) => void)[] = []
  readonly #isReady: Promise<unknown>

  constructor (options: SubscriberOptions) {
    const { url, transport, token, onFault } = options
    this.#options = options
    this.#eventPlace = eventPlace[transport]
    // Socket.IO: the Engine.IO handshake, then the reply to the namespace's connect packet; /ws: the frame
    // `authenticated`.
    this.#isReady = transport === 'socket.io'
      ? this.#answer().then(() => this.#request(`40${JSON.stringify({ token })}`))
      : this.#answer()
    this.#socket = new RawWebSocket(url, transport === 'socket.io' ? '/socket.io/?EIO=4&transport=websocket' : '/ws', {
      headers: transport === 'socket.io' ? {} : { authorization: `Bearer ${token}` },
      onText: (chunk, start, end) => this.#take(chunk, start, end),
      onClose: reason => onFault(`a ${transport} client was cut off: ${reason}`)
    })
  }

  /** Subscribes. The first event must follow the offset of the response. */
  async subscribe (topic: string, filter?: Record<string, unknown>): Promise<void> {
    await this.#isReady
    const fields = { topic, ...(filter !== undefined && { filter }) }
    const text = this.#options.transport === 'socket.io'
      ? await this.#request(`420${JSON.stringify(['subscribe', fields])}`)
      : await this.#request(JSON.stringify({ type: 'subscribe', ...fields }))
    const offset = /"offset":(\d+)/.exec(text)?.[1]
    // A client that opens a thousand subscriptions on one connection is rate-limited, and is closed if it continues
    // without a pause.
    if (text.includes('"RATE_LIMITED"')) {
      await sleep(pauseMs)
      return await this.subscribe(topic, filter)
    }
    if (offset === undefined) throw new Error(`not subscribed: ${text}`)
    this.#offset = Number(offset)
    const subscription = /"subscriptionId":"(\w[\w-]+)"/.exec(text)?.[1]
    if (filter === undefined && subscription !== undefined) {
      this.#subscription = Buffer.from(`"subscriptionIds":["${subscription}"]`)
    }
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
    const at = start + this.#eventPlace
    if (end - start > 64 && chunk[at] === letterE && chunk[at + 1] === letterV) {
      return this.#takeEvent(chunk, start, end)
    }
    const text = chunk.toString('latin1', start, end)
    if (text === '2') this.#socket.send('3')
    else this.#answers.shift()?.(text)
  }

  #takeEvent (chunk: Buffer, start: number, end: number): void {
    const offset = numberAt(chunk, chunk.indexOf(offsetField, start) + offsetField.length)
    if (offset !== this.#offset + 1) this.#options.onFault(`lost or doubled: offset ${offset} after ${this.#offset}`)
    if (
      offset % sampledOffsets === 0 && this.#subscription !== undefined &&
      chunk.indexOf(this.#subscription, start) === -1
    ) {
      this.#options.onFault(`another's event: ${chunk.toString('utf8', start, end)}`)
    }
    this.#offset = offset
    this.events++
    this.#options.onEvent(chunk, start, end)
  }
}

/** Returns the decimal number that starts at a position. */
export function numberAt (chunk: Buffer, at: number): number {
  let value = 0
  for (let digit = (chunk[at] as number) - 48; digit >= 0 && digit <= 9; digit = (chunk[++at] as number) - 48) {
    value = value * 10 + digit
  }
  return value
}
