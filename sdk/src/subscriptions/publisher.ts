import { backoffMs, sleep } from '../backoff.ts'
import type { Connection } from '../connection/connection.ts'
import { RealtimeError } from '../errors.ts'
import { randomId } from '../random-id.ts'
import type { Rest } from '../rest/rest.ts'

export interface PublishedEvent<Payload = unknown> {
  payload: Payload
  /** The ordering key, 1 to 512 characters. */
  key?: string
}

export interface PublishOptions {
  key?: string
  /** 1 to 255 printable ASCII characters. A call with the same key has no second effect for 24 h. Default: random. */
  idempotencyKey?: string
  /** Rejects at once when aborted. The event may be stored nevertheless. */
  signal?: AbortSignal
}

export interface PublishReceipt {
  topic: string
  /** The offset of the event; of a batch, the offset of the first. */
  offset: number
  /** How many events were stored. Their offsets follow one another. */
  count: number
  epoch: string
}

/** A body of the server, the same over the socket and REST, so that both share idempotency keys. */
type Body = PublishedEvent | { events: PublishedEvent[] }

interface Job {
  body: Body
  /** Characters of JSON. */
  length: number
  idempotencyKey: string | undefined
  signal: AbortSignal | undefined
  resolve: (receipt: PublishReceipt) => void
  reject: (error: unknown) => void
}

/** An event that may travel with others: one event, without a key that the caller chose. */
type MergeableJob = Job & { body: PublishedEvent }

/** How many events are merged into one request. */
const mergedMax = 200
/** How much JSON goes over the socket, whose frames have at most 1 MiB, at a pace of 1 MiB a second. */
const socketLengthMax = 128 * 1024
/** After that many failures of the server in itself, the call fails. */
const internalMax = 5

/**
 * Publishes events in order, one request at a time for each topic. Events that wait meanwhile travel together. A
 * request whose outcome is unknown is repeated with its idempotency key, over the socket or REST, until the server has
 * answered.
 */
export class Publisher {
  readonly #connection: Connection
  readonly #rest: Rest
  readonly #queues = new Map<string, Job[]>()

  constructor (connection: Connection, rest: Rest) {
    this.#connection = connection
    this.#rest = rest
  }

  async publish (topic: string, payload: unknown, { key, ...options }: PublishOptions): Promise<PublishReceipt> {
    return this.#add(topic, { payload, ...(key !== undefined && { key }) }, options)
  }

  async publishBatch (
    topic: string, events: readonly PublishedEvent[], options: PublishOptions
  ): Promise<PublishReceipt> {
    return this.#add(topic, { events: [...events] }, options)
  }

  #add (topic: string, body: Body, { idempotencyKey, signal }: PublishOptions): Promise<PublishReceipt> {
    signal?.throwIfAborted()
    // A retry sends the same, also if the caller changes its objects in the meantime.
    const text = JSON.stringify(body)
    const copy = JSON.parse(text) as Body
    return new Promise<PublishReceipt>((resolve, reject) => {
      const abort = () => job.reject(signal?.reason)
      const end = <T>(settle: (value: T) => void) => (value: T) => {
        signal?.removeEventListener('abort', abort)
        settle(value)
      }
      const job: Job = {
        body: copy, length: text.length, idempotencyKey, signal, resolve: end(resolve), reject: end(reject)
      }
      signal?.addEventListener('abort', abort)
      const queue = this.#queues.get(topic) ?? []
      queue.push(job)
      if (this.#queues.has(topic)) return
      this.#queues.set(topic, queue)
      void this.#run(topic, queue)
    })
  }

  async #run (topic: string, queue: Job[]): Promise<void> {
    for (let jobs; (jobs = takeMergeable(queue)).length > 0;) {
      const [first] = jobs
      if (jobs.length === 1 && first !== undefined) await this.#finish(topic, first)
      else await this.#finishMerged(topic, jobs as MergeableJob[])
    }
    this.#queues.delete(topic)
  }

  async #finishMerged (topic: string, jobs: MergeableJob[]): Promise<void> {
    const length = jobs.reduce((sum, job) => sum + job.length, 0)
    try {
      const { offset, epoch } = await this.#send(topic, {
        body: { events: jobs.map(({ body }) => body) }, length, idempotencyKey: undefined, signal: undefined
      })
      for (const [i, { resolve }] of jobs.entries()) resolve({ topic, offset: offset + i, count: 1, epoch })
    } catch (error) {
      // A fresh key is safe only after a refusal which proves that nothing was stored. These prove it also after an
      // attempt whose outcome is unknown: they follow from the body, or are decided after the look-up of the key.
      const isOfOneEvent = error instanceof RealtimeError && ofOneEvent.has(error.code)
      for (const job of jobs) {
        if (isOfOneEvent) await this.#finish(topic, job)
        else job.reject(error)
      }
    }
  }

  async #finish (topic: string, job: Job): Promise<void> {
    try {
      job.resolve(await this.#send(topic, job))
    } catch (error) {
      job.reject(error)
    }
  }

  /** Sends until the server has accepted or refused. */
  async #send (
    topic: string, { body, length, idempotencyKey = randomId(), signal }: Omit<Job, 'resolve' | 'reject'>
  ): Promise<PublishReceipt> {
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted()
      try {
        return await this.#attempt(topic, body, length, idempotencyKey, signal)
      } catch (error) {
        signal?.throwIfAborted()
        if (!isRetryable(error) || (error.code === 'INTERNAL' && attempt >= internalMax)) throw error
        await sleep((error.retryAfterMs ?? 0) + backoffMs(attempt, { baseMs: 200, maxMs: 10_000 }), signal)
      }
    }
  }

  async #attempt (
    topic: string, body: Body, length: number, idempotencyKey: string, signal: AbortSignal | undefined
  ): Promise<PublishReceipt> {
    if (this.#connection.isConnected && length <= socketLengthMax) {
      try {
        const answer = await this.#connection.request('append', { topic, ...body, idempotencyKey }, signal)
        return { topic, offset: answer.offset, count: 'count' in answer ? answer.count : 1, epoch: answer.epoch }
      } catch (error) {
        // If the connection was closed for good, its error is not an answer to this request.
        if (this.#connection.isConnected) throw error
        throw new RealtimeError('CONNECTION_LOST', 'The connection was lost before the answer', { cause: error })
      }
    }
    const { body: { offset, count, epoch } } = await this.#rest.send<PublishReceipt>(
      'POST', `/api/topics/${encodeURIComponent(topic)}/events`,
      { body, idempotencyKey, signal, headers: { prefer: 'return=minimal' }, retries: 0 }
    )
    return { topic, offset, count, epoch }
  }
}

/** Takes the first job, and those after it that may travel with it. */
function takeMergeable (queue: Job[]): Job[] {
  let count = 0
  let length = 0
  while (count < mergedMax) {
    const job = queue[count]
    if (job === undefined) break
    if (job.signal?.aborted === true) {
      queue.splice(count, 1)
      continue
    }
    length += job.length
    const isMergeable = !('events' in job.body) && job.idempotencyKey === undefined
    if (count > 0 && (!isMergeable || length > socketLengthMax)) break
    count++
    if (!isMergeable) break
  }
  return queue.splice(0, count)
}

/** Refusals of a batch that concern one of its events. */
const ofOneEvent = new Set(['VALIDATION_FAILED', 'NUMBER_INEXACT', 'SCHEMA_VIOLATED'])

const unanswered = new Set(['CONNECTION_LOST', 'NETWORK', 'TIMEOUT', 'TOKEN_UNAVAILABLE', 'INTERNAL'])

const isRetryable = (error: unknown): error is RealtimeError => error instanceof RealtimeError &&
  (error.retryAfterMs !== undefined || unanswered.has(error.code) || (error.status ?? 0) >= 500)
