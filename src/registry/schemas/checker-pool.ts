import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { ServiceUnavailableError } from '../../errors.ts'
import type { CheckerJob, CheckerReply, CheckerTask, TopicSchema } from './checker-task.ts'
import { createCheckerTurns } from './checker-turns.ts'
import type { PairVerdict } from '../json-schema/compatibility/comparison-job.ts'
import type { Json } from '../json-schema/json.ts'
import { SchemaError } from '../json-schema/schema-error.ts'

export interface CheckerPoolOptions {
  threads?: number
  /** A check that takes longer is stopped with its thread. Includes the start of the thread. */
  timeoutMs?: number
  /** Limits the steps of the comparison of one pair. */
  stepsMax?: number
}

/**
 * Does all work on customers' schemas that may take long. The methods reject with ServiceUnavailableError `OVERLOADED`
 * if too many jobs wait, in total or of the application, or if a job hangs, and with SchemaError if a schema cannot be
 * used.
 */
export interface CheckerPool {
  /**
   * Returns the verdicts in the order of the job. A long job returns fewer, so that other applications get their turn:
   * send the remaining pairs in another job.
   */
  compare (job: CheckerJob, applicationId?: string): Promise<{ pairs: PairVerdict[], steps: number }>
  compile (schema: string, applicationId?: string): Promise<void>
  /** Returns TypeScript that adds the topics to the interface `TopicMap`. */
  print (topics: readonly TopicSchema[], applicationId?: string): Promise<string>
  /** Returns the schemas in draft-07, as members of the object `components.schemas` of an AsyncAPI document. */
  translate (topics: readonly TopicSchema[], applicationId?: string): Promise<string>
  /** Returns a payload that is valid under the schema, or undefined if none was found. */
  sample (schema: string, applicationId?: string): Promise<{ payload: Json } | undefined>
  /** Ends the threads. Running jobs are rejected. */
  close (): Promise<void>
}

/** A comparison takes at most a second or two, and even on a busy machine a fraction of this limit. */
const defaultTimeoutMs = 60_000

/** A thread ends after it was idle for this long. */
const idleMs = 60_000

const resourceLimits = { maxOldGenerationSizeMb: 512, stackSizeMb: 16 }

/** Leaves one core for the event loop if there are several. At least two, so that no application uses all threads. */
const threadsByCores = (cores: number): number => cores === 1 ? 1 : Math.min(4, Math.max(2, cores - 1))

/** Creates a checker that works in a pool of threads, off the event loop. Applications take turns. */
export function createCheckerPool (options: CheckerPoolOptions = {}): CheckerPool {
  const { threads = threadsByCores(availableParallelism()), timeoutMs = defaultTimeoutMs, stepsMax } = options
  const turns = createCheckerTurns(threads)
  let pool: Piscina | undefined
  let isClosed = false

  async function run (task: CheckerTask, applicationId: string | undefined): Promise<unknown> {
    return await turns.take(applicationId ?? '', async () => {
      if (isClosed) throw closed()
      pool ??= new Piscina({
        filename: workerFile(), minThreads: 0, maxThreads: threads, idleTimeout: idleMs, resourceLimits,
        recordTiming: false
      })
      return unpack(JSON.parse(await settle(pool, task)) as CheckerReply)
    })
  }

  async function settle (pool: Piscina, task: CheckerTask): Promise<string> {
    try {
      return await pool.run(JSON.stringify(task), { signal: AbortSignal.timeout(timeoutMs) }) as string
    } catch (error) {
      if (isClosed) throw closed()
      if ((error as Error).name === 'AbortError') {
        throw stopped(`${works[task.kind]} took more than ${timeoutMs} ms`, error)
      }
      if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error
      const memory = `${resourceLimits.maxOldGenerationSizeMb} MiB`
      if (task.kind === 'compile') throw new SchemaError(`the schema takes more than ${memory} to compile`)
      throw stopped(`${works[task.kind]} took more than ${memory}`, error)
    }
  }

  return {
    compare: async (job, applicationId) =>
      await run({ kind: 'compare', job, ...stepsMax !== undefined && { stepsMax } }, applicationId) as {
        pairs: PairVerdict[]
        steps: number
      },
    compile: async (schema, applicationId) => {
      await run({ kind: 'compile', schema }, applicationId)
    },
    print: async (topics, applicationId) => await run({ kind: 'print', topics }, applicationId) as string,
    translate: async (topics, applicationId) => await run({ kind: 'translate', topics }, applicationId) as string,
    sample: async (schema, applicationId) =>
      await run({ kind: 'sample', schema }, applicationId) as { payload: Json } | null ?? undefined,
    async close () {
      isClosed = true
      turns.close(closed())
      await pool?.destroy()
    }
  }
}

const works: Record<CheckerTask['kind'], string> = {
  compare: 'Comparing the schemas', compile: 'Compiling the schema', print: 'Printing types of the schemas',
  translate: 'Translating the schemas', sample: 'The search for a payload'
}

function unpack (reply: CheckerReply): unknown {
  if ('schemaError' in reply) throw new SchemaError(reply.schemaError.sentence, reply.schemaError.path)
  return reply.result
}

const closed = (): Error => new Error('the schema checker is closed')

const stopped = (what: string, cause: unknown): ServiceUnavailableError =>
  new ServiceUnavailableError('OVERLOADED', `${what} and was stopped. Retry after 30 s`, { retryAfterS: 30, cause })

/**
 * Returns the worker's file, which is beside this one: JavaScript after the build, TypeScript under tsx. Each thread
 * has to load tsx.
 */
function workerFile (): string {
  const name = import.meta.url.endsWith('.ts') ? './checker-worker-tsx.mjs' : './checker-worker.js'
  return fileURLToPath(new URL(name, import.meta.url))
}
