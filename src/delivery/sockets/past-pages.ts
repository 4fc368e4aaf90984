import type { DeliveryLimits } from '../../config/delivery-limits.ts'
import { missingMs, take } from '../../foundation/limits/pace.ts'
import { createSemaphore } from '../../foundation/limits/semaphore.ts'

/** The connection that the pages go to. */
interface Reader {
  readonly isOpen: boolean
  /** Whether its buffer is empty enough for a page. */
  readonly hasRoomToSpare: boolean
}

/** Sends pages of past events one at a time, no faster than the client reads and the pace allows. */
export class PastPages {
  readonly #reader: Reader
  readonly #limits: DeliveryLimits
  readonly #inTurn = createSemaphore(1)
  /** The time at which the pace allows the bytes sent so far. */
  #paidUntil = 0
  #resume: (() => void) | undefined

  constructor (reader: Reader, limits: DeliveryLimits) {
    this.#reader = reader
    this.#limits = limits
  }

  /**
   * Sends pages first come, first served. A page and the unread bytes together fill at most half of the socket's
   * buffer, so that live events have room.
   */
  send (sendPage: (bytesMax: number) => Promise<number>): Promise<void> {
    return this.#inTurn(async () => {
      const { socketBufferBytesMax, pastBytesPerSecond, pastBytesBurst } = this.#limits
      await this.#ready()
      const bytes = await sendPage(socketBufferBytesMax / 4)
      this.#paidUntil = take(this.#paidUntil, bytes, pastBytesPerSecond, pastBytesBurst, Date.now())
    })
  }

  /** Call when the buffer may have drained, and when the connection has closed. */
  drained (): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  /** Resolves when the reader has room and the pace allows more bytes. Does not wait for a closed connection. */
  async #ready (): Promise<void> {
    const { pastBytesPerSecond, pastBytesBurst } = this.#limits
    const ms = missingMs(this.#paidUntil, 0, pastBytesPerSecond, pastBytesBurst, Date.now())
    if (ms > 0 && this.#reader.isOpen) await new Promise(resolve => setTimeout(resolve, ms).unref())
    while (this.#reader.isOpen && !this.#reader.hasRoomToSpare) {
      await new Promise<void>(resolve => { this.#resume = resolve })
    }
  }
}
