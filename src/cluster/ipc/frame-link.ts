import type { Duplex } from 'node:stream'
import { encodeFrame, frameReader, frameTypes, type Frame, type FrameType } from './frames.ts'

/** Limit of the bytes that the other side has not read. Further messages are dropped. */
const unsentBytesMax = 16 * 1024 * 1024
/** How often unanswered questions are checked. A question may wait that much longer than its limit. */
const checkedEveryMs = 100

export type LinkHandler = (body: string) => string | undefined | Promise<string | undefined>

/**
 * One side of the link between a worker and its parent. Frames arrive in the order in which they were sent. Frames that
 * are sent in one turn leave with one write.
 */
export class FrameLink {
  readonly #stream: Duplex
  readonly #questions = new Map<number, { answered: (text: string | undefined) => void, deadline: number }>()
  readonly #handlers = new Map<string, LinkHandler>()
  readonly #checking: NodeJS.Timeout
  #lastQuestion = 0
  #isCorked = false
  #isClosed = false

  /** `onFrame` receives all frames but questions and answers. */
  constructor (stream: Duplex, onFrame: (frame: Frame) => void) {
    this.#stream = stream
    stream.on('data', frameReader(frame => this.#receive(frame, onFrame)))
    // A worker that ends closes its end, and the parent learns of that from the process.
    stream.on('error', () => {})
    stream.once('close', () => this.close())
    this.#checking = setInterval(() => this.#expire(), checkedEveryMs).unref()
  }

  /** Whether the other side is too far behind to be sent more messages. */
  get isFull (): boolean { return this.#stream.writableLength > unsentBytesMax }

  get isClosed (): boolean { return this.#isClosed }

  send (type: FrameType, id: number, name: string, text: string): void {
    this.forward(encodeFrame(type, id, name, text))
  }

  forward (bytes: Buffer): void {
    if (this.#isClosed) return
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#stream.cork()
      process.nextTick(() => {
        this.#isCorked = false
        this.#stream.uncork()
      })
    }
    this.#stream.write(bytes)
  }

  /** Calls the listener each time that everything sent has been read. */
  onDrained (listener: () => void): void {
    this.#stream.on('drain', listener)
  }

  /** Answers questions of one kind. An error or undefined is no answer. */
  on (kind: string, handler: LinkHandler): void {
    this.#handlers.set(kind, handler)
  }

  /** Returns undefined if there is no answer in time. */
  async ask (kind: string, body: string, limitMs: number): Promise<string | undefined> {
    return await this.request(frameTypes.ask, kind, body, limitMs)
  }

  /** Sends a frame that the other side confirms with an answer. */
  request (type: FrameType, name: string, body: string, limitMs: number): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined)
    const id = this.#lastQuestion = this.#lastQuestion % 0xffff_ffff + 1
    return new Promise(resolve => {
      this.#questions.set(id, { answered: resolve, deadline: performance.now() + limitMs })
      this.send(type, id, name, body)
    })
  }

  answer (id: number, text: string | undefined): void {
    this.send(frameTypes.answer, id, text === undefined ? '' : 'ok', text ?? '')
  }

  close (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#checking)
    for (const { answered } of this.#questions.values()) answered(undefined)
    this.#questions.clear()
    this.#stream.end()
  }

  #receive (frame: Frame, onFrame: (frame: Frame) => void): void {
    if (this.#isClosed) return
    if (frame.type === frameTypes.ask) {
      void this.#reply(frame)
      return
    }
    if (frame.type !== frameTypes.answer) return onFrame(frame)
    const question = this.#questions.get(frame.id)
    this.#questions.delete(frame.id)
    question?.answered(frame.name === '' ? undefined : frame.text)
  }

  async #reply ({ id, name, text }: Frame): Promise<void> {
    let answer: string | undefined
    try {
      const given = this.#handlers.get(name)?.(text)
      answer = given instanceof Promise ? await given : given
    } catch {
      answer = undefined
    }
    this.answer(id, answer)
  }

  #expire (): void {
    if (this.#questions.size === 0) return
    const now = performance.now()
    for (const [id, { answered, deadline }] of this.#questions) {
      if (deadline > now) continue
      this.#questions.delete(id)
      answered(undefined)
    }
  }
}
