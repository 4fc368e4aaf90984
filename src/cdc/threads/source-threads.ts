import type { ResourceLimits } from 'node:worker_threads'
import { ServiceUnavailableError } from '../../errors.ts'
import { createDeadline, unlessAborted } from '../source/deadline.ts'
import { SourceError, toConversationError, type SourceClient } from '../source/source.ts'
import { defaultWireLimits } from '../wire/conversation.ts'
import { SourceThread, type ThreadOptions } from './source-thread.ts'

export interface SourceThreadsOptions extends Partial<Omit<ThreadOptions, 'onMeasured'>> {
  /** How many readers get a thread of their own; further readers share these threads. */
  readerThreadsMax?: number
  /** How many conversations outside readers may run at once, and how many for one application. */
  conversationsMax?: number
  conversationsOfApplicationMax?: number
  /** The limit for all threads together. Above it, the largest thread of the application that uses most is ended. */
  threadBytesMax?: number
  /** The limit for the heap of one thread; `resourceLimits` overrides it. */
  heapBytesMax?: number
  /** The limit for a conversation as a whole; each of its queries has its own limit. */
  conversationMaxMs?: number
}

/** A thread that is in use until `release`. */
export interface ThreadLease { thread: SourceThread, release: () => Promise<void> }

/** Runs conversations with tenants' databases outside the main thread, so that a failing one ends only itself. */
export interface SourceThreads {
  /** Returns a thread for a reader; the reader has it alone as long as there are few readers. */
  forReader (applicationId: string): ThreadLease
  /**
   * Opens a session, runs the work and closes the session; `signal` ends the conversation. Throws SourceError when the
   * database cannot be used or takes too long, and ServiceUnavailableError `OVERLOADED` when too many conversations
   * wait.
   */
  within<T> (
    applicationId: string, connectionString: string, work: (client: SourceClient) => Promise<T>, signal?: AbortSignal
  ): Promise<T>
  close (): Promise<void>
}

const waitingMax = 100
const waitingOfApplicationMax = 20
/** Longer than a conversation with a database that does not respond. */
const waitMs = 15_000
const idleMs = 30_000

const defaults = {
  limits: defaultWireLimits,
  watchEveryMs: 1000,
  missedMax: 10,
  readerThreadsMax: 64,
  conversationsMax: 8,
  conversationsOfApplicationMax: 3,
  threadBytesMax: Infinity,
  heapBytesMax: 512 * 1024 ** 2,
  conversationMaxMs: 60_000
}

/** The number of readers of a thread, and the application of the first. */
interface Readers { users: number, applicationId: string }

interface Waiting {
  applicationId: string
  begin: (thread: SourceThread) => void
  refuse: () => void
  timer: NodeJS.Timeout
}

export function createSourceThreads (given: SourceThreadsOptions = {}): SourceThreads {
  const options = {
    ...defaults,
    resourceLimits: resourceLimitsOf(given.heapBytesMax ?? defaults.heapBytesMax),
    ...given,
    onMeasured: () => crowdOut(ownersOf(), options.threadBytesMax)
  }
  const readers = new Map<SourceThread, Readers>()
  const running = new Map<SourceThread, string>()
  const idle = new Map<SourceThread, NodeJS.Timeout>()
  const waiting: Waiting[] = []
  let isClosed = false
  const ownersOf = (): [SourceThread, string][] => [
    ...[...readers].map(([thread, { applicationId }]): [SourceThread, string] => [thread, applicationId]),
    ...running,
    ...[...idle.keys()].map((thread): [SourceThread, string] => [thread, ''])
  ]

  const countOf = (applicationId: string) => [...running.values()].filter(id => id === applicationId).length
  /**
   * Returns whether a further conversation of the application may start. An application runs several at once only while
   * half of the capacity is free for others, so a few slow databases cannot use it up.
   */
  function hasRoom (applicationId: string): boolean {
    const count = countOf(applicationId)
    const max = count === 0 ? options.conversationsMax : Math.ceil(options.conversationsMax / 2)
    return running.size < max && count < options.conversationsOfApplicationMax
  }

  /** Waits for a thread, first come first served, but skips applications at their limit. */
  async function next (applicationId: string): Promise<SourceThread> {
    if (hasRoom(applicationId)) return take(applicationId)
    const count = waiting.filter(one => one.applicationId === applicationId).length
    if (isClosed || waiting.length >= waitingMax || count >= waitingOfApplicationMax) throw overloaded()
    return await new Promise<SourceThread>((resolve, reject) => {
      const own: Waiting = {
        applicationId,
        begin: resolve,
        refuse: () => reject(overloaded()),
        timer: setTimeout(() => {
          waiting.splice(waiting.indexOf(own), 1)
          own.refuse()
        }, waitMs)
      }
      waiting.push(own)
    })
  }

  function take (applicationId: string): SourceThread {
    if (isClosed) throw new Error('the threads are closed')
    const [known] = [...idle.keys()].filter(thread => !thread.isEnded)
    clearTimeout(known && idle.get(known))
    if (known !== undefined) idle.delete(known)
    const thread = known ?? new SourceThread(options)
    running.set(thread, applicationId)
    return thread
  }

  function give (thread: SourceThread): void {
    running.delete(thread)
    if (thread.isEnded || isClosed) void thread.end()
    else {
      idle.set(thread, setTimeout(() => {
        idle.delete(thread)
        void thread.end()
      }, idleMs).unref())
    }
    const at = waiting.findIndex(({ applicationId }) => hasRoom(applicationId))
    const [first] = at === -1 ? [] : waiting.splice(at, 1)
    if (first === undefined || isClosed) return
    clearTimeout(first.timer)
    first.begin(take(first.applicationId))
  }

  async function takeInTurn (applicationId: string, signal: AbortSignal | undefined): Promise<SourceThread> {
    const taking = next(applicationId)
    try {
      return await unlessAborted(taking, signal)
    } catch (error) {
      taking.then(give, () => {})
      throw error
    }
  }

  async function converse<T> (
    thread: SourceThread, connectionString: string, work: (client: SourceClient) => Promise<T>, signal: AbortSignal
  ): Promise<T> {
    const client = await thread.open(connectionString, {}, signal)
    try {
      return await work(client)
    } finally {
      await client.close()
    }
  }

  return {
    forReader (applicationId) {
      if (isClosed) throw new Error('the threads are closed')
      const alive = [...readers].filter(([thread]) => !thread.isEnded).sort(([, a], [, b]) => a.users - b.users)
      const shared = alive.length < options.readerThreadsMax ? undefined : alive[0]
      const thread = shared?.[0] ?? new SourceThread(options)
      const own = shared?.[1] ?? { users: 0, applicationId }
      own.users++
      readers.set(thread, own)
      return {
        thread,
        async release () {
          if (--own.users > 0) return
          readers.delete(thread)
          await thread.end()
        }
      }
    },

    async within (applicationId, connectionString, work, signal) {
      const thread = await takeInTurn(applicationId, signal)
      const seconds = options.conversationMaxMs / 1000
      const deadline = createDeadline(
        options.conversationMaxMs,
        new SourceError('SOURCE_UNREACHABLE', `(the conversation took longer than ${seconds} s)`)
      )
      try {
        return await converse(
          thread, connectionString, work,
          AbortSignal.any(signal === undefined ? [deadline.signal] : [deadline.signal, signal])
        )
      } catch (error) {
        throw toConversationError(error)
      } finally {
        deadline.clear()
        give(thread)
      }
    },

    async close () {
      isClosed = true
      for (const timer of idle.values()) clearTimeout(timer)
      for (const { timer, refuse } of waiting.splice(0)) {
        clearTimeout(timer)
        refuse()
      }
      await Promise.all([...readers.keys(), ...running.keys(), ...idle.keys()].map(thread => thread.end()))
    }
  }
}

const resourceLimitsOf = (heapBytesMax: number): ResourceLimits => (
  { maxOldGenerationSizeMb: Math.floor(heapBytesMax / 1024 ** 2), maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }
)

/** Ends one thread when all together exceed the limit; the next measurement follows within a second. */
function crowdOut (owners: readonly [SourceThread, string][], bytesMax: number): void {
  const shares = new Map<string, number>()
  let bytes = 0
  for (const [thread, applicationId] of owners) {
    bytes += thread.bytes
    shares.set(applicationId, (shares.get(applicationId) ?? 0) + thread.bytes)
  }
  if (bytes <= bytesMax) return
  const [greediest] = [...shares].sort(([, a], [, b]) => b - a)[0] ?? []
  const [largest] =
    owners.filter(([, applicationId]) => applicationId === greediest).sort(([a], [b]) => b.bytes - a.bytes)[0] ?? []
  largest?.crowdOut()
}

const overloaded = () =>
  new ServiceUnavailableError(
    'OVERLOADED', 'Too many requests to connected databases are running. Retry after the time in Retry-After',
    { retryAfterS: 5 }
  )
