import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { extname, join } from 'node:path'

/*
 * Runs servers and load generators as separate processes, so that neither pays for the other's garbage. Parents call
 * them by IPC. A child ends when its parent does, for whatever reason.
 */

export type Methods = Record<string, (...args: never[]) => unknown>

export interface Child<M extends Methods> {
  call<K extends keyof M & string> (method: K, ...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>>
  stop (): Promise<void>
  /** Ends the child as `kill -9` does. */
  kill (): Promise<void>
}

interface Answer { id: number, value?: unknown, error?: string }

const extension = extname(import.meta.filename)
const readyTimeoutMs = 30_000
/** Filling a log with millions of events takes minutes. */
const callTimeoutMs = 900_000

/** Starts `servers/platform`, `load/sockets`, … with arguments for Node. Resolves when it accepts calls. */
export async function startChild<M extends Methods> (
  module: string, { execArgv = [] }: { execArgv?: string[] } = {}
): Promise<Child<M>> {
  const child = fork(join(import.meta.dirname, module + extension), [], {
    execArgv: [...process.execArgv, ...execArgv], env: { ...process.env, FASTIFY_AUTOLOAD_TYPESCRIPT: '1' }
  })
  const waiting = new Map<number, { resolve (value: unknown): void, reject (error: Error): void }>()
  let lastId = 0
  child.on('message', ({ id, value, error }: Answer) => {
    const waiter = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) waiter?.resolve(value)
    else waiter?.reject(new Error(`${module}: ${error}`))
  })
  child.on('exit', code => {
    for (const { reject } of waiting.values()) reject(new Error(`${module} ended with ${code}`))
  })
  await once(child, 'message', { signal: AbortSignal.timeout(readyTimeoutMs) })
  return {
    call: async <K extends keyof M & string>(
      method: K, ...args: Parameters<M[K]>
    ): Promise<Awaited<ReturnType<M[K]>>> => {
      const id = ++lastId
      child.send({ id, method, args })
      const timer = setTimeout(
        () => waiting.get(id)?.reject(new Error(`${module}: no answer to ${method}`)),
        callTimeoutMs
      )
      try {
        const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
        return await answer as Awaited<ReturnType<M[K]>>
      } finally {
        clearTimeout(timer)
      }
    },
    stop: () => stop(child),
    kill: () => end(child, () => child.kill('SIGKILL'))
  }
}

const stop = (child: ChildProcess): Promise<void> => end(child, () => child.disconnect())

async function end (child: ChildProcess, begin: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  begin()
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await gone
  clearTimeout(timer)
}

/** In a child: serves its parent's calls; `onEnd` runs when the parent has ended. */
export function answerCalls (methods: Methods, onEnd: () => Promise<void> | void = () => {}): void {
  const own = methods as Record<string, (...args: unknown[]) => unknown>
  process.on('message', ({ id, method, args }: { id: number, method: string, args: unknown[] }) => {
    (async () => own[method]?.(...args))().then(
      value => process.send?.({ id, value }),
      (error: Error) => process.send?.({ id, error: error.stack ?? error.message }))
  })
  process.on('disconnect', () => { void (async () => onEnd())().catch(() => {}).then(() => process.exit()) })
  process.send?.({ id: 0 })
}
