import { once } from 'node:events'
import { io } from 'socket.io-client'
import type t from 'tap'
import { WebSocket } from 'ws'
import type { Shop } from './shop.ts'
import { pace, until } from './waiting.ts'

/** Listens to a topic across connection losses, and checks that each offset arrives once, in order. */
export class Subscriber {
  /** The last offset received since the acknowledgement. */
  offset = -1
  events = 0
  connections = 0
  readonly faults: string[] = []
  /** Close codes and reasons of acknowledged connections that ended. */
  readonly closings: string[] = []
  /** From publication to arrival, of the latest event. */
  latencyMs = 0
  readonly #shop: Shop
  readonly #pick: () => string
  readonly #kind: 'ws' | 'socket.io'
  #epoch: string | undefined
  #isOver = false
  #end: () => void = () => {}

  constructor (shop: Shop, pick: () => string, kind: 'ws' | 'socket.io' = 'ws') {
    this.#shop = shop
    this.#pick = pick
    this.#kind = kind
  }

  /** Resolves with the first acknowledgement. */
  async start (): Promise<this> {
    void this.#run()
    await until(() => this.offset >= 0, 'the first acknowledgement')
    return this
  }

  stop (): void {
    this.#isOver = true
    this.#end()
  }

  async #run (): Promise<void> {
    while (!this.#isOver) {
      this.connections++
      await (this.#kind === 'ws' ? this.#overWs() : this.#overSocketIo()).catch(() => {})
      if (!this.#isOver) await pace(50 + Math.random() * 150)
    }
  }

  #request (): object {
    const { topic } = this.#shop
    return this.offset < 0 ? { topic } : { topic, after: this.offset, epoch: this.#epoch }
  }

  #acknowledged ({ offset, epoch, recovered }: { offset: number, epoch: string, recovered: boolean }): void {
    if (this.offset >= 0 && !recovered) this.faults.push(`not recovered after ${this.offset}`)
    this.offset = offset
    this.#epoch = epoch
  }

  #arrived (offset: number): void {
    if (offset !== this.offset + 1) this.faults.push(`${offset} after ${this.offset}`)
    this.offset = offset
    this.events++
  }

  async #overWs (): Promise<void> {
    const socket = new WebSocket(`${this.#pick().replace('http', 'ws')}/ws`, {
      headers: { authorization: `Bearer ${this.#shop.token}` },
      handshakeTimeout: 5000
    })
    let isLive = false
    this.#end = () => { socket.terminate() }
    socket.on('error', () => {})
    socket.on('open', () => { socket.send(JSON.stringify({ type: 'subscribe', ...this.#request() })) })
    socket.on('message', (data: Buffer) => {
      const text = data.toString()
      if (text.startsWith('{"type":"event"')) {
        // Parses only the needed fields, because millions of events arrive.
        this.latencyMs = Date.now() - numberAfter(text, '"at":')
        return this.#arrived(numberAfter(text, '"offset":'))
      }
      const frame = JSON.parse(text) as { type: string, offset: number, epoch: string, recovered: boolean }
      if (frame.type === 'subscribed') {
        isLive = true
        this.#acknowledged(frame)
      } else if (frame.type === 'resync' || frame.type === 'error') {
        socket.terminate()
      }
    })
    const [code, reason] = await once(socket, 'close') as [number, Buffer]
    if (isLive) this.closings.push(`${code} ${reason.toString()}`)
  }

  async #overSocketIo (): Promise<void> {
    const socket = io(this.#pick(), {
      auth: { token: this.#shop.token }, transports: ['websocket'], forceNew: true, reconnection: false, timeout: 5000
    })
    this.#end = () => {
      socket.disconnect()
    }
    let closing = ''
    let isLive = false
    socket.on('closing', ({ code, reason }: { code: number, reason: string }) => { closing = `${code} ${reason}` })
    socket.on('event', ({ offset, payload }: { offset: number, payload: { at: number } }) => {
      this.latencyMs = Date.now() - payload.at
      this.#arrived(offset)
    })
    socket.on('resync', () => { socket.disconnect() })
    socket.on('connect', () => {
      socket.emit(
        'subscribe',
        this.#request(),
        (answer: { ok: boolean, offset: number, epoch: string, recovered: boolean }) => {
          if (!answer.ok) return socket.disconnect()
          isLive = true
          this.#acknowledged(answer)
        }
      )
    })
    await new Promise<void>(resolve => {
      socket.on('disconnect', () => resolve())
      socket.on('connect_error', () => resolve())
    })
    socket.disconnect()
    if (isLive) this.closings.push(closing)
  }
}

const numberAfter = (text: string, field: string): number =>
  Number.parseInt(text.slice(text.indexOf(field) + field.length, text.indexOf(field) + field.length + 20))

/** Waits until all subscribers have reached the offset, each offset received once and in order. */
export async function arrived (
  t: Tap, subscribers: readonly Subscriber[], offset: number, timeoutMs = 60_000
): Promise<void> {
  const behind = () => subscribers.filter(subscriber => subscriber.offset < offset)
  await until(
    () => behind().length === 0,
    () => `${offset} at ${behind().length} subscribers, the first of which is at ${behind()[0]?.offset}`,
    timeoutMs
  )
  t.same(
    subscribers.flatMap(({ faults }) => faults).slice(0, 5),
    [],
    `each of ${subscribers.length} subscribers has every offset once, in order`
  )
  t.same(
    subscribers.filter(subscriber => subscriber.offset !== offset).map(subscriber => subscriber.offset), [],
    'and no event that was not acknowledged'
  )
}
type Tap = Pick<typeof t, 'same'>
