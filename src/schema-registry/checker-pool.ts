import { Worker } from 'node:worker_threads'
import { ServiceUnavailableError } from '../errors.ts'
import type { CompatibilityInput, Verdict } from './compatibility.ts'
import type { JsonSchema } from './json.ts'
import { SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX } from './schema-document.ts'
import { SchemaError } from './schema-error.ts'

/** What the worker is asked, and what it answers. */
export type CheckerRequest =
  | { id: number, kind: 'check', input: CompatibilityInput }
  | { id: number, kind: 'compile', schema: JsonSchema, compileMs: number }
export type CheckerReply =
  | { id: number, result: unknown }
  | { id: number, schemaError: { sentence: string, path: string } }
  | { id: number, error: string }

export interface SchemaCheckerOptions {
  /** Threads. One is enough unless many schemas are registered at once: a request waits for these before it. */
  threads?: number
  /** A request is ended, and its thread with it, when it has taken this long. The thread's own start does not count. */
  timeoutMs?: number
  /** What a comparison may take before it answers that it gave up; below `timeoutMs`. */
  deadlineMs?: number
  /** A schema that takes longer than this to compile is refused, since the main thread will compile it again in one go. */
  compileMs?: number
}

type Verdicts = Verdict & { comparedWith: number[] }
type Body = { kind: 'check', input: CompatibilityInput } | { kind: 'compile', schema: JsonSchema, compileMs: number }
interface Job { body: Body, applicationId: string | undefined, resolve: (result: unknown) => void, reject: (error: Error) => void }

/** Requests that may wait for a thread, and those of one application: a second or so for each is the worst. */
const waitingMax = { all: 100, ofApplication: 10 }

/** Both reject with ServiceUnavailableError `OVERLOADED` when too many wait, of all or of the application. */
export interface SchemaChecker {
  /** The verdict of `checkCompatibility`. Rejects with SchemaError for a schema that cannot be used. */
  check (input: CompatibilityInput, applicationId?: string): Promise<Verdicts>
  /** Rejects with SchemaError for a schema that does not compile, or not soon enough to be compiled where payloads are served. */
  compile (schema: JsonSchema, applicationId?: string): Promise<void>
  /** Ends the threads; what is still under way is rejected. */
  close (): Promise<void>
}

/**
 * Compares and compiles away from the event loop. A thread that does not answer in time is ended and replaced, so that
 * no schema, however entangled, holds up more than its own request.
 */
export function createSchemaChecker (options: SchemaCheckerOptions = {}): SchemaChecker {
  const { threads = 1, timeoutMs = 3_000, deadlineMs = 600, compileMs = 1_000 } = options
  const queue: Job[] = []
  const idle = new Set<CheckerThread>()
  const all = new Set<CheckerThread>()
  let isClosed = false

  function submit (body: Body, applicationId: string | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (isClosed) { reject(new Error('the schema checker is closed')); return }
      if (!hasRoom(applicationId)) { reject(new ServiceUnavailableError('OVERLOADED', 'Too many schemas are being checked; come back shortly', { retryAfterS: 5 })); return }
      queue.push({ body, applicationId, resolve, reject })
      next()
    })
  }

  function hasRoom (applicationId: string | undefined): boolean {
    if (queue.length >= waitingMax.all) return false
    return applicationId === undefined || queue.filter(job => job.applicationId === applicationId).length < waitingMax.ofApplication
  }

  function next (): void {
    const thread = [...idle][0] ?? (all.size < threads ? start() : undefined)
    const job = thread === undefined ? undefined : queue.shift()
    if (thread === undefined || job === undefined) return
    idle.delete(thread)
    thread.run(job).then((isAlive) => {
      if (isAlive) idle.add(thread)
      else all.delete(thread)
      next()
    }, () => {})
  }

  function start (): CheckerThread {
    const thread = new CheckerThread(timeoutMs)
    all.add(thread)
    idle.add(thread)
    return thread
  }

  return {
    async check (input, applicationId) {
      for (const { schema } of [input, ...input.earlier]) refuseOversized(schema)
      return await submit({ kind: 'check', input: { deadlineMs, ...input } }, applicationId) as Verdicts
    },
    async compile (schema, applicationId) {
      refuseOversized(schema)
      await submit({ kind: 'compile', schema, compileMs }, applicationId)
    },
    async close () {
      isClosed = true
      for (const job of queue.splice(0)) job.reject(new Error('the schema checker is closed'))
      await Promise.all([...all].map((thread) => thread.end()))
    }
  }
}

/** One worker, which does one job at a time. It starts with its first job and does not keep the process alive. */
class CheckerThread {
  readonly #timeoutMs: number
  #worker: Worker | undefined
  #isReady = false
  #lastId = 0
  #stop: ((error: Error) => void) | undefined

  constructor (timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Settles the job; answers whether the thread can take another. */
  async run ({ body, resolve, reject }: Job): Promise<boolean> {
    try {
      const reply = await this.#ask({ id: ++this.#lastId, ...body })
      if ('schemaError' in reply) reject(new SchemaError(reply.schemaError.sentence, reply.schemaError.path))
      else if ('error' in reply) reject(new Error(reply.error))
      else resolve(reply.result)
      return true
    } catch (error) {
      const isTooMuch = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
      reject(isTooMuch ? new SchemaError(`the schema takes more than ${LIMITS.maxOldGenerationSizeMb} MiB to ${body.kind}`) : error as Error)
      await this.end()
      return false
    }
  }

  #ask (request: CheckerRequest): Promise<CheckerReply> {
    const worker = this.#worker ??= startWorker()
    worker.ref()
    return new Promise<CheckerReply>((resolve, reject) => {
      let timer = setTimeout(() => { reject(new Error(`a schema checker thread has not started within ${startMs} ms`)) }, startMs)
      const begin = () => {
        clearTimeout(timer)
        timer = setTimeout(() => { reject(new SchemaError(`the schema takes more than ${this.#timeoutMs} ms to ${request.kind}`)) }, this.#timeoutMs)
      }
      this.#stop = reject
      worker.once('error', reject)
      const receive = (reply: string) => {
        if (reply !== 'ready') { resolve(JSON.parse(reply) as CheckerReply); return }
        this.#isReady = true
        begin()
      }
      worker.on('message', receive)
      if (this.#isReady) begin()
      worker.postMessage(JSON.stringify(request))
      this.#settle = () => {
        clearTimeout(timer)
        worker.off('error', reject)
        worker.off('message', receive)
        worker.unref()
      }
    }).finally(() => { this.#settle() })
  }

  #settle = (): void => {}

  async end (): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#isReady = false
    this.#stop?.(new Error('the schema checker is closed'))
    await worker?.terminate()
  }
}

/** The worker's file lies beside this one: TypeScript under tsx, JavaScript once built. */
function startWorker (): Worker {
  const isSource = import.meta.url.endsWith('.ts')
  if (!isSource) return new Worker(new URL('./checker-worker.js', import.meta.url), { resourceLimits: LIMITS })
  return new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(new URL('./checker-worker.ts', import.meta.url).href)}) })`, { eval: true, resourceLimits: LIMITS })
}

/** Loading the code takes a fraction of a second; a machine that is busy may need many times that. */
const startMs = 60_000

const LIMITS = { maxOldGenerationSizeMb: 512, stackSizeMb: 16 }

/** What is too large or too deep is refused here, before it is copied to a thread. */
function refuseOversized (schema: JsonSchema): void {
  const stack: [unknown, number][] = [[schema, 0]]
  let size = 0
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const [value, depth] = next
    if (depth > SCHEMA_DEPTH_MAX + 1) throw new SchemaError(`a schema may be nested ${SCHEMA_DEPTH_MAX} deep at most`)
    size += typeof value === 'string' ? value.length : 2
    if (size > SCHEMA_BYTES_MAX) throw new SchemaError(`a schema may have ${SCHEMA_BYTES_MAX} bytes at most`)
    if (typeof value === 'object' && value !== null) for (const [key, member] of Object.entries(value)) { size += key.length; stack.push([member, depth + 1]) }
  }
}
