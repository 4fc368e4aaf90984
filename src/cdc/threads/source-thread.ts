import { Worker, type ResourceLimits } from 'node:worker_threads'
import type { QueryResultRow } from 'pg'
import { unlessAborted } from '../source/deadline.ts'
import { SourceError, type SourceClient } from '../source/source.ts'
import { Calls, type Frame } from './calls.ts'
import { fromFailure, type Failure } from '../decoding/failure.ts'
import type { MainMethods, SessionOptions, StreamSettings, ThreadMethods, ThreadSettings } from './methods.ts'

export interface ThreadOptions extends ThreadSettings {
  resourceLimits: ResourceLimits
  /**
   * How often the thread is pinged, and how many pings it may miss. Pauses of the main thread do not count as misses.
   */
  watchEveryMs: number
  missedMax: number
  /** Called when `bytes` changes. */
  onMeasured?: () => void
  /** A module that the thread loads first. Tests use it to simulate crashes. */
  preload?: string
}

/** The main thread's side of a stream. */
export interface StreamOwner
  extends
  Omit<
      {
        [Name in keyof MainMethods]: MainMethods[Name] extends (stream: number, ...values: infer Values) => infer Result
          ? (...values: Values) => Result
          : never
      },
      'ended'
    > {
  ended (reason: Error): void
}

/** A stream that runs in a thread. It can be stopped before it has started. */
export interface RemoteStream {
  /** Resolves when the server streams. Throws SourceError. */
  readonly started: Promise<void>
  run (): Promise<void>
  acknowledge (lsn: bigint, isPing: boolean): void
  stop (): Promise<void>
}

export interface ThreadClient extends SourceClient {
  /** Starts a stream; it queries the catalogue through this session. */
  stream (settings: StreamSettings, owner: StreamOwner): RemoteStream
}

interface StreamRequest {
  session: number
  connectionString: string
  settings: StreamSettings
  owner: StreamOwner
  signal: AbortSignal | undefined
}

/** Loading the code takes a fraction of a second, but many times that on a busy machine. */
const startMs = 60_000

/**
 * A thread that talks to tenants' servers. When it crashes, hangs or uses too much memory, its conversations end with
 * SourceError `SOURCE_CRASHED`.
 */
export class SourceThread {
  readonly #worker: Worker
  readonly #calls: Calls<ThreadMethods>
  readonly #options: ThreadOptions
  readonly #owners = new Map<number, StreamOwner>()
  readonly #ended: Promise<void>
  readonly #ready: Promise<void>
  #setReady = () => {}
  #lastStream = 0
  #timer: NodeJS.Timeout
  #missed = 0
  #bytes = 0
  #isEnded = false

  constructor (options: ThreadOptions) {
    this.#options = options
    this.#worker = startWorker(options)
    this.#calls = new Calls<ThreadMethods>(this.#worker, this.#methods())
    this.#ready = new Promise(resolve => { this.#setReady = resolve })
    this.#timer = setTimeout(() => this.#end('(it did not start)'), startMs)
    this.#worker.on('message', (frame: Frame | 'ready' | number) => {
      if (frame === 'ready') this.#watch()
      else if (typeof frame === 'number') this.#answered(frame)
      else this.#calls.receive(frame)
    })
    this.#worker.on('messageerror', () => this.#end('(an answer could not be read)'))
    this.#worker.on(
      'error',
      (error: NodeJS.ErrnoException) =>
        this.#end(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? '(out of memory)' : '(it crashed)', error)
    )
    this.#ended = new Promise(resolve =>
      this.#worker.once('exit', () => {
        this.#end('(it crashed)')
        resolve()
      })
    )
  }

  get isEnded (): boolean { return this.#isEnded }

  /** The memory of the thread at its last answer. */
  get bytes (): number { return this.#isEnded ? 0 : this.#bytes }

  /**
   * Opens a session. When `signal` aborts, the session and those opened from it are closed, and their pending calls
   * reject with the signal's reason. A server cannot delay that. Throws SourceError.
   */
  async open (connectionString: string, options: SessionOptions = {}, signal?: AbortSignal): Promise<ThreadClient> {
    const end = (session: number) => this.#calls.call('close', session).catch(() => {})
    const opening = this.#ready.then(() => this.#calls.call('open', connectionString, options))
    let session: number
    try {
      session = await unlessAborted(opening, signal)
    } catch (error) {
      opening.then(end, () => {})
      throw error
    }
    const onAbort = () => { void end(session) }
    signal?.addEventListener('abort', onAbort, { once: true })
    return {
      query: async <Row extends QueryResultRow>(text: string, values?: unknown[]) => {
        const { rows, rowCount } = await unlessAborted(this.#calls.call('query', session, text, values), signal)
        return { rows: rows as Row[], rowCount }
      },
      another: more => this.open(connectionString, more, signal),
      close: async () => {
        signal?.removeEventListener('abort', onAbort)
        await end(session)
      },
      stream: (settings, owner) => this.#stream({ session, connectionString, settings, owner, signal })
    }
  }

  async end (): Promise<void> {
    this.#end('(it was closed)')
    await this.#ended
  }

  /** Ends the thread to free memory for the others. */
  crowdOut (): void {
    this.#end('(out of memory: all conversations together use too much)')
  }

  #stream ({ session, connectionString, settings, owner, signal }: StreamRequest): RemoteStream {
    const id = ++this.#lastStream
    this.#owners.set(id, owner)
    const started = unlessAborted(this.#calls.call('startStream', id, session, connectionString, settings), signal)
    started.catch(() => {})
    return {
      started,
      run: () => this.#calls.call('runStream', id),
      acknowledge: (lsn, isPing) => { this.#calls.call('acknowledge', id, lsn, isPing).catch(() => {}) },
      stop: async () => {
        await this.#calls.call('stopStream', id).catch(() => {})
        this.#owners.delete(id)
      }
    }
  }

  #methods (): MainMethods {
    const owner = (stream: number): StreamOwner => {
      const found = this.#owners.get(stream)
      if (found === undefined) throw new Error('the stream has ended')
      return found
    }
    return {
      mappings: async (stream, known) => await owner(stream).mappings(known),
      write: async (stream, chunk, step, progress) => await owner(stream).write(chunk, step, progress),
      progress: (stream, progress) => owner(stream).progress(progress),
      truncated: (stream, truncates) => owner(stream).truncated(truncates),
      ended: (stream: number, reason: Failure) => owner(stream).ended(fromFailure(reason))
    }
  }

  #watch (): void {
    clearTimeout(this.#timer)
    this.#setReady()
    this.#timer = setInterval(() => {
      if (this.#missed++ >= this.#options.missedMax) return this.#end('(it hung)')
      this.#worker.postMessage('ping')
    }, this.#options.watchEveryMs)
    this.#timer.unref()
  }

  #answered (bytes: number): void {
    this.#missed = 0
    this.#bytes = bytes
    this.#options.onMeasured?.()
  }

  #end (detail: string, cause?: unknown): void {
    if (this.#isEnded) return
    this.#isEnded = true
    clearTimeout(this.#timer)
    const reason = new SourceError('SOURCE_CRASHED', detail, { cause })
    this.#calls.end(reason)
    this.#setReady()
    for (const owner of this.#owners.values()) owner.ended(reason)
    this.#owners.clear()
    void this.#worker.terminate()
  }
}

/** Starts the worker from the file beside this one: TypeScript under tsx, JavaScript once built. */
function startWorker ({ resourceLimits, limits, preload }: ThreadOptions): Worker {
  const isSource = import.meta.url.endsWith('.ts')
  const file = new URL(isSource ? './source-worker.ts' : './source-worker.js', import.meta.url).href
  const load = [...preload === undefined ? [] : [preload], file].map(one => `await import(${JSON.stringify(one)})`)
    .join('\n')
  const code = `(async () => {\n${isSource ? "(await import('tsx/esm/api')).register()\n" : ''}${load}\n})()`
  return new Worker(code, { eval: true, resourceLimits, workerData: { limits } satisfies ThreadSettings })
}
