import type { Duplex } from 'node:stream'
import { WindowCounts } from '../../foundation/limits/window-counts.ts'
import { FrameLink, type LinkHandler } from './frame-link.ts'
import { frameTypes, type Frame } from './frames.ts'

/** Time limit of a question to a worker. */
const workerAnswerMs = 2000

interface Worker {
  name: string
  link: FrameLink
  channels: Set<string>
  /** Its last message in each channel, sent when it ends without closing its bus. */
  wills: Map<string, Buffer>
  hasMissed: boolean
}

export interface ExchangeOptions {
  /** Called for each message that a worker did not read in time. */
  onDropped? (): void
}

/**
 * The parent's part of the communication between workers: it forwards messages to the workers that listen to their
 * channel, in order, and holds the counts that they share. It keeps no message for a worker that is not there.
 */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #workers = new Map<string, Worker>()
  readonly #listeners = new Map<string, Set<Worker>>()
  readonly #counts = new WindowCounts()

  constructor (options: ExchangeOptions = {}) {
    this.#options = options
  }

  /** Connects a worker. `handlers` answer further kinds of its questions. */
  connect (name: string, stream: Duplex, handlers: Record<string, LinkHandler> = {}): void {
    const worker: Worker = {
      name, link: new FrameLink(stream, frame => this.#receive(worker, frame)), channels: new Set(), wills: new Map(),
      hasMissed: false
    }
    this.#workers.set(name, worker)
    const { link } = worker
    link.onDrained(() => {
      if (!worker.hasMissed) return
      worker.hasMissed = false
      link.send(frameTypes.missed, 0, '', '')
    })
    link.on('ping', () => '')
    link.on('reach', channel => String(this.#listeners.get(channel)?.size ?? 0))
    link.on('count', body => {
      const end = body.indexOf(' ')
      const { current, ttl } = this.#counts.count(body.slice(end + 1), Number(body.slice(0, end)))
      return `${current} ${ttl}`
    })
    link.on('uncount', key => {
      this.#counts.uncount(key)
      return ''
    })
    link.on('workers', async body => {
      const end = body.indexOf('\n')
      return JSON.stringify([...await this.askAll(body.slice(0, end), body.slice(end + 1))])
    })
    for (const [kind, handler] of Object.entries(handlers)) link.on(kind, handler)
    stream.once('close', () => this.#lost(worker))
  }

  /** Asks one worker. Returns undefined if there is no answer in time. */
  async ask (name: string, kind: string, body: string): Promise<string | undefined> {
    return await this.#workers.get(name)?.link.ask(kind, body, workerAnswerMs)
  }

  /** Asks all workers. One without an answer in time has undefined. */
  async askAll (kind: string, body: string): Promise<Map<string, string | undefined>> {
    return new Map(
      await Promise.all([...this.#workers.values()].map(async ({ name, link }) =>
        [name, await link.ask(kind, body, workerAnswerMs)] as const))
    )
  }

  #receive (worker: Worker, frame: Frame): void {
    const { type, id, name: channel, bytes } = frame
    if (type === frameTypes.message) return this.#send(channel, bytes, worker)
    if (type === frameTypes.listen) {
      worker.channels.add(channel)
      const listeners = this.#listeners.get(channel)
      if (listeners === undefined) this.#listeners.set(channel, new Set([worker]))
      else listeners.add(worker)
      return worker.link.answer(id, '')
    }
    if (type === frameTypes.unlisten) return this.#unlisten(worker, channel)
    if (type !== frameTypes.will) return
    // An empty will takes the former one back.
    if (frame.text === '') worker.wills.delete(channel)
    else worker.wills.set(channel, asMessage(bytes))
  }

  #send (channel: string, bytes: Buffer, sender: Worker): void {
    for (const worker of this.#listeners.get(channel) ?? []) {
      if (worker === sender) continue
      if (worker.link.isFull) {
        worker.hasMissed = true
        this.#options.onDropped?.()
      } else {
        worker.link.forward(bytes)
      }
    }
  }

  #unlisten (worker: Worker, channel: string): void {
    worker.channels.delete(channel)
    const listeners = this.#listeners.get(channel)
    listeners?.delete(worker)
    if (listeners?.size === 0) this.#listeners.delete(channel)
  }

  #lost (worker: Worker): void {
    if (this.#workers.get(worker.name) === worker) this.#workers.delete(worker.name)
    for (const channel of [...worker.channels]) this.#unlisten(worker, channel)
    for (const [channel, bytes] of worker.wills) this.#send(channel, bytes, worker)
    worker.wills.clear()
  }
}

/** Returns a copy of a will as the message that it will be. */
function asMessage (will: Buffer): Buffer {
  const message = Buffer.from(will)
  message[4] = frameTypes.message
  return message
}
