interface Task { bytes: number, run: () => void }

const mebibyte = 1024 * 1024
/** Nine tenths of what the server allows (docs/PROTOCOL.md#pace). Pings, and differing clocks, take the rest. */
const requestsPerMs = 0.09
const bytesPerMs = 0.9 * mebibyte / 1000
/** Requests, and bytes, that may be sent at once and that may wait for their answers. */
const requestsMax = 150
const bytesMax = 2 * mebibyte

/**
 * Lets requests pass at the pace of the server: 100 a second, 200 at once, and 1 MiB a second, 4 MiB at once. Others
 * wait, in their order. The number that waits for answers is limited too: what a stalled network held back arrives at
 * once.
 */
export class Pace {
  #requests = requestsMax
  #bytes = bytesMax
  #inFlight = 0
  #bytesInFlight = 0
  #at = performance.now()
  #queue: Task[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  run (bytes: number, run: () => void): void {
    this.#queue.push({ bytes, run })
    if (this.#timer === undefined) this.#drain()
  }

  /** Call when a request of so many bytes was answered. The server counts the bytes of answers as well. */
  answered (bytes: number, answerBytes: number): void {
    this.#refill()
    this.#inFlight = Math.max(0, this.#inFlight - 1)
    this.#bytesInFlight = Math.max(0, this.#bytesInFlight - bytes)
    this.#bytes -= answerBytes
    if (this.#timer === undefined) this.#drain()
  }

  /** Forgets the requests that wait. The next link has a pace of its own. */
  reset (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#queue = []
    this.#inFlight = this.#bytesInFlight = 0
    this.#requests = requestsMax
    this.#bytes = bytesMax
  }

  #refill (): void {
    const now = performance.now()
    // Requests without an answer may arrive together with the next ones, so they count as sent just now.
    this.#requests = Math.min(requestsMax - this.#inFlight, this.#requests + (now - this.#at) * requestsPerMs)
    this.#bytes = Math.min(bytesMax - this.#bytesInFlight, this.#bytes + (now - this.#at) * bytesPerMs)
    this.#at = now
  }

  #drain (): void {
    this.#refill()
    for (;;) {
      const [task] = this.#queue
      if (task === undefined) return
      const isFull = this.#inFlight >= requestsMax || this.#bytesInFlight + task.bytes > bytesMax
      if (isFull && this.#inFlight > 0) return
      const waitMs = Math.max((1 - this.#requests) / requestsPerMs, (task.bytes - this.#bytes) / bytesPerMs)
      if (waitMs > 0) {
        this.#timer = setTimeout(() => { this.#timer = undefined; this.#drain() }, Math.ceil(waitMs))
        return
      }
      this.#queue.shift()
      this.#requests--
      this.#bytes -= task.bytes
      this.#inFlight++
      this.#bytesInFlight += task.bytes
      task.run()
    }
  }
}
