import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { ServiceUnavailableError } from '../../errors.ts'
import type { CheckerJob, CheckerReply, CheckerTask } from './checker-task.ts'
import { CheckerTurns } from './checker-turns.ts'
import type { PairVerdict } from '../json-schema/compatibility/compatibility.ts'
import { SchemaError } from '../json-schema/schema-error.ts'

export interface SchemaCheckerOptions {
  threads?: number
  /** The last resort against a check that hangs: its thread is ended. The thread's own start counts. */
  timeoutMs?: number
  /** What the comparison of one pair may take. */
  stepsMax?: number
}

/**
 * Both reject with ServiceUnavailableError `OVERLOADED` when too many jobs wait, of all or of the application, and when
 * a job hangs; with SchemaError for a schema that cannot be used.
 */
export interface SchemaChecker {
  /**
   * The verdicts in the order of the job, fewer than asked for when it is long: the others are for a next job, so that
   * others have their turn.
   */
  compare (job: CheckerJob, applicationId?: string): Promise<{ pairs: PairVerdict[], steps: number }>
  compile (schema: string, applicationId?: string): Promise<void>
  /** Ends the threads. Jobs under way are rejected. */
  close (): Promise<void>
}

/** A comparison takes a second or two at worst, even on a busy machine a fraction of this. */
const defaultTimeoutMs = 60_000

/** For how long a thread waits for its next job. */
const idleMs = 60_000

const resourceLimits = { maxOldGenerationSizeMb: 512, stackSizeMb: 16 }

/** Where there are cores, one is left for the event loop; no application ever has all threads. */
const threadsByCores = (cores: number): number => cores === 1 ? 1 : Math.min(4, Math.max(2, cores - 1))

/** Compares and compiles away from the event loop, in the threads of a pool, of which applications take turns. */
export function createSchemaChecker (options: SchemaCheckerOptions = {}): SchemaChecker {
  const { threads = threadsByCores(availableParallelism()), timeoutMs = defaultTimeoutMs, stepsMax } = options
  const turns = new CheckerTurns(threads)
  let pool: Piscina | undefined
  let isClosed = false

  async function run (task: CheckerTask, applicationId: string | undefined): Promise<unknown> {
    return await turns.take(applicationId, async () => {
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
        throw stopped(
          `${
            task.kind === 'compile' ? 'To compile the schema' : 'To compare the schemas'
          } took more than ${timeoutMs} ms`,
          error
        )
      }
      if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error
      const memory = `${resourceLimits.maxOldGenerationSizeMb} MiB`
      if (task.kind === 'compile') throw new SchemaError(`the schema takes more than ${memory} to compile`)
      throw stopped(`To compare the schemas took more than ${memory}`, error)
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
    async close () {
      isClosed = true
      turns.close(closed())
      await pool?.destroy()
    }
  }
}

function unpack (reply: CheckerReply): unknown {
  if ('schemaError' in reply) throw new SchemaError(reply.schemaError.sentence, reply.schemaError.path)
  return reply.result
}

const closed = (): Error => new Error('the schema checker is closed')

const stopped = (what: string, cause: unknown): ServiceUnavailableError =>
  new ServiceUnavailableError('OVERLOADED', `${what} and was stopped. Retry after 30 s`, { retryAfterS: 30, cause })

/**
 * The worker's file lies beside this one: JavaScript once built, TypeScript under tsx, which has to be loaded in each
 * thread.
 */
function workerFile (): string {
  const name = import.meta.url.endsWith('.ts') ? './checker-worker-tsx.mjs' : './checker-worker.js'
  return fileURLToPath(new URL(name, import.meta.url))
}
