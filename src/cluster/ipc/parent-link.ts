import type { Duplex } from 'node:stream'
import type { BusHealth } from '../bus.ts'
import { FrameLink, type LinkHandler } from './frame-link.ts'
import { frameTypes } from './frames.ts'

const pingEveryMs = 1000
/** Time limit of an answer for which the parent asks the workers. */
const workersAnswerMs = 2500

/** A worker's link to the parent process. */
export class ParentLink {
  readonly #link: FrameLink
  readonly #pinging: NodeJS.Timeout
  #heardAt = performance.now()
  readonly #messageListeners: ((channel: string, text: () => string) => void)[] = []
  readonly #missedListeners: (() => void)[] = []

  constructor (stream: Duplex) {
    this.#link = new FrameLink(stream, frame => {
      if (frame.type === frameTypes.missed) for (const listener of this.#missedListeners) listener()
      if (frame.type !== frameTypes.message) return
      for (const listener of this.#messageListeners) listener(frame.name, () => frame.text)
    })
    this.#pinging = setInterval(() => { void this.#ping() }, pingEveryMs).unref()
  }

  /** Receives the messages of the channels that are listened to. */
  onMessage (listener: (channel: string, text: () => string) => void): void {
    this.#messageListeners.push(listener)
  }

  /** Calls the listener after messages were lost, because this worker did not read them in time. */
  onMissed (listener: () => void): void {
    this.#missedListeners.push(listener)
  }

  /** Returns whether the message was sent. It is dropped while the parent is too far behind. */
  publish (channel: string, message: string): boolean {
    if (this.#link.isClosed || this.#link.isFull) return false
    this.#link.send(frameTypes.message, 0, channel, message)
    return true
  }

  /** Resolves when every later message of the channel arrives, or when the link is closed. */
  async listen (channel: string): Promise<void> {
    await this.#link.request(frameTypes.listen, channel, '', Infinity)
  }

  unlisten (channel: string): void {
    this.#link.send(frameTypes.unlisten, 0, channel, '')
  }

  /** Sets the message that the other workers get when this one ends without closing; an empty one takes it back. */
  setWill (channel: string, message: string): void {
    this.#link.send(frameTypes.will, 0, channel, message)
  }

  /** Returns undefined if there is no answer in time. */
  ask (kind: string, body: string, limitMs: number): Promise<string | undefined> {
    return this.#link.request(frameTypes.ask, kind, body, limitMs)
  }

  /**
   * Asks all workers, this one included. One without an answer in time has null. Returns undefined if the parent does
   * not answer.
   */
  async askWorkers (kind: string, body: string): Promise<Map<string, string | null> | undefined> {
    const answer = await this.ask('workers', `${kind}\n${body}`, workersAnswerMs)
    return answer === undefined ? undefined : new Map(JSON.parse(answer) as [string, string | null][])
  }

  /** Answers questions of the parent and of the workers. */
  on (kind: string, handler: LinkHandler): void {
    this.#link.on(kind, handler)
  }

  health (): BusHealth {
    return { isConnected: !this.#link.isClosed, heartbeatAgeMs: Math.round(performance.now() - this.#heardAt) }
  }

  close (): void {
    clearInterval(this.#pinging)
    this.#link.close()
  }

  async #ping (): Promise<void> {
    if (await this.ask('ping', '', pingEveryMs) !== undefined) this.#heardAt = performance.now()
  }
}
