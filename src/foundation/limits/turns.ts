export interface TurnsOptions {
  /** Limits the work that runs at a time: of all owners together, and of one. */
  runningMax: number
  runningOfOwnerMax: number
  /** Limits of the work that waits. Without them, any amount of work waits until its turn comes. */
  waiting?: WaitingLimits
}

export interface WaitingLimits {
  /** Limits the work that waits: of all owners together, and of one. */
  max: number
  ofOwnerMax: number
  /** Limits the time of waiting. Without it, work waits until its turn comes. */
  msMax?: number
  /** Creates the error for refused work. */
  refusal: (reason: Refusal) => Error
}

/** The limit that refuses work: of waiting work of the owner, of all waiting work, or of the time of waiting. */
export type Refusal = 'owner' | 'all' | 'time'

interface Waiting { start: () => void, reject: (error: Error) => void }

/**
 * Runs work of several owners, little of it at a time. Owners take turns, one piece of work each. If
 * `runningOfOwnerMax` is below `runningMax`, one owner never holds all places. So work waits for at most one piece of
 * each other owner.
 */
export class Turns {
  readonly #options: TurnsOptions
  /** Waiting work by owner, in the order of their next turns. */
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #running = new Map<string, number>()
  #waitingCount = 0
  #runningCount = 0

  constructor (options: TurnsOptions) {
    this.#options = options
  }

  /**
   * Runs the work when its turn comes. Rejects with a refusal if too much work waits or the turn does not come in time,
   * and with the signal's reason if it aborts before; then the work never starts.
   */
  async take<T> (owner: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    await this.#turn(owner, signal)
    try {
      return await work()
    } finally {
      this.#count(owner, -1)
      this.#startNext()
    }
  }

  /** Rejects all waiting work. */
  close (error: Error): void {
    for (const own of [...this.#waiting.values()]) for (const { reject } of [...own]) reject(error)
  }

  #turn (owner: string, signal: AbortSignal | undefined): Promise<void> {
    const { waiting: limits } = this.#options
    this.#requireRoom(owner)
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', leave)
      }
      const waiting: Waiting = {
        start () {
          settle()
          resolve()
        },
        reject: error => {
          settle()
          this.#remove(owner, waiting)
          reject(error)
        }
      }
      const leave = () => waiting.reject(signal?.reason as Error)
      const timer = limits?.msMax === undefined
        ? undefined
        : setTimeout(() => waiting.reject(limits.refusal('time')), limits.msMax)
      signal?.addEventListener('abort', leave)
      this.#add(owner, waiting)
      this.#startNext()
    })
  }

  #requireRoom (owner: string): void {
    const { waiting: limits } = this.#options
    if (limits === undefined) return
    const own = this.#waiting.get(owner)?.length ?? 0
    if (own >= limits.ofOwnerMax && !this.#mayStart(owner)) throw limits.refusal('owner')
    if (this.#waitingCount >= limits.max) throw limits.refusal('all')
  }

  #add (owner: string, waiting: Waiting): void {
    const own = this.#waiting.get(owner) ?? []
    own.push(waiting)
    this.#waiting.set(owner, own)
    this.#waitingCount++
  }

  #remove (owner: string, waiting: Waiting): void {
    const own = this.#waiting.get(owner) ?? []
    own.splice(own.indexOf(waiting), 1)
    if (own.length === 0) this.#waiting.delete(owner)
    this.#waitingCount--
  }

  #mayStart (owner: string): boolean {
    const { runningMax, runningOfOwnerMax } = this.#options
    return this.#runningCount < runningMax && (this.#running.get(owner) ?? 0) < runningOfOwnerMax
  }

  #startNext (): void {
    for (const [owner, own] of this.#waiting) {
      if (!this.#mayStart(owner)) continue
      this.#waiting.delete(owner)
      const next = own.shift()
      if (own.length > 0) this.#waiting.set(owner, own)
      this.#waitingCount--
      this.#count(owner, 1)
      next?.start()
      return
    }
  }

  #count (owner: string, by: 1 | -1): void {
    this.#runningCount += by
    const running = (this.#running.get(owner) ?? 0) + by
    if (running === 0) this.#running.delete(owner)
    else this.#running.set(owner, running)
  }
}
