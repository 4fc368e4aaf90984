import type { Transferable } from 'node:worker_threads'
import { fromFailure, toFailure, type Failure } from '../decoding/failure.ts'

/** Methods that another thread may call. */
export type Methods<M> = { [Name in keyof M]: (...values: never[]) => unknown }

export type Frame =
  | { call: number, name: string, values: unknown[] }
  | { reply: number, value: unknown }
  | { reply: number, failure: Failure }

interface Port { postMessage (frame: unknown, transfer?: readonly Transferable[]): void }
interface Waiting { resolve (value: unknown): void, reject (error: Error): void }

/** Calls between two threads, in both directions over one port. */
export class Calls<Remote extends Methods<Remote>> {
  readonly #port: Port
  readonly #own: Record<string, (...values: unknown[]) => unknown>
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #ended: Error | undefined

  constructor (port: Port, own: object) {
    this.#port = port
    this.#own = own as Record<string, (...values: unknown[]) => unknown>
  }

  get isIdle (): boolean { return this.#waiting.size === 0 }

  /** Calls a method of the other thread. Rejects with what it threw, or with the reason that the thread ended. */
  async call<Name extends keyof Remote & string> (
    name: Name,
    ...values: Parameters<Remote[Name]>
  ): Promise<Awaited<ReturnType<Remote[Name]>>> {
    if (this.#ended !== undefined) throw this.#ended
    const call = ++this.#lastId
    const reply = new Promise<unknown>((resolve, reject) => this.#waiting.set(call, { resolve, reject }))
    this.#port.postMessage({ call, name, values } satisfies Frame)
    return await reply as Awaited<ReturnType<Remote[Name]>>
  }

  receive (frame: Frame): void {
    if ('call' in frame) {
      void this.#answer(frame)
      return
    }
    const waiting = this.#waiting.get(frame.reply)
    this.#waiting.delete(frame.reply)
    if ('failure' in frame) waiting?.reject(fromFailure(frame.failure))
    else waiting?.resolve(frame.value)
  }

  /** Rejects all pending calls: the other thread has ended. */
  end (reason: Error): void {
    this.#ended = reason
    for (const { reject } of this.#waiting.values()) reject(reason)
    this.#waiting.clear()
  }

  async #answer ({ call, name, values }: Extract<Frame, { call: number }>): Promise<void> {
    try {
      const value = await this.#own[name]?.(...values)
      this.#port.postMessage({ reply: call, value } satisfies Frame)
    } catch (error) {
      this.#port.postMessage({ reply: call, failure: toFailure(error) } satisfies Frame)
    }
  }
}
