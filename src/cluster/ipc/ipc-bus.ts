import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Bus, BusHealth, Listening } from '../bus.ts'
import type { ParentLink } from './parent-link.ts'

/** Time limit of a question about a channel. */
const answerMs = 1000

export interface IpcBusOptions {
  parent: ParentLink
  metrics: Metrics
}

interface Channel { listeners: Set<(message: string) => void>, live: Promise<void> }

/** The bus between the workers of one command. Their parent process forwards each message. */
export class IpcBus implements Bus {
  readonly #parent: ParentLink
  readonly #channels = new Map<string, Channel>()
  readonly #wills = new Set<string>()
  readonly #outcomes: Record<'sent' | 'received' | 'dropped', { inc (): void }>

  constructor ({ parent, metrics: { busMessages } }: IpcBusOptions) {
    this.#parent = parent
    const counting = (outcome: 'sent' | 'received' | 'dropped') => ({ inc: () => busMessages.inc({ outcome }) })
    this.#outcomes = { sent: counting('sent'), received: counting('received'), dropped: counting('dropped') }
    parent.onMessage((channel, text) => {
      const listeners = this.#channels.get(channel)?.listeners
      if (listeners === undefined) return
      this.#outcomes.received.inc()
      const message = text()
      for (const listener of listeners) listener(message)
    })
  }

  publish (channel: string, message: string): void {
    this.#outcomes[this.#parent.publish(channel, message) ? 'sent' : 'dropped'].inc()
  }

  listen (name: string, listener: (message: string) => void): Listening {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = { listeners: new Set(), live: this.#parent.listen(name) }
      this.#channels.set(name, channel)
    }
    const { listeners, live } = channel
    listeners.add(listener)
    return {
      live,
      end: () => {
        listeners.delete(listener)
        if (listeners.size > 0 || this.#channels.get(name)?.listeners !== listeners) return
        this.#channels.delete(name)
        this.#parent.unlisten(name)
      }
    }
  }

  async reach (channel: string): Promise<number> {
    const answer = await this.#parent.ask('reach', channel, answerMs)
    if (answer === undefined) throw new Error('The parent process does not answer')
    return Number(answer)
  }

  setWill (channel: string, message: string): void {
    this.#wills.add(channel)
    this.#parent.setWill(channel, message)
  }

  onRestored (listener: () => void): void {
    this.#parent.onMissed(listener)
  }

  health (): BusHealth {
    return this.#parent.health()
  }

  /** Ends all listening and takes the wills back. The link stays open for its owner. */
  async close (): Promise<void> {
    for (const name of this.#channels.keys()) this.#parent.unlisten(name)
    this.#channels.clear()
    for (const channel of this.#wills) this.#parent.setWill(channel, '')
    // The parent has forwarded all messages once it answers.
    await this.#parent.ask('ping', '', answerMs)
  }
}
