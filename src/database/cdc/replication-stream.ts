import type { Socket } from 'node:net'
import type { ClientConfig } from 'pg'
import { LogicalReplicationService, PgoutputPlugin, type Pgoutput } from 'pg-logical-replication'
import { formatLsn, parseLsn } from './lsn.ts'

export interface StreamOptions {
  config: ClientConfig
  slot: string
  publication: string
  onMessage (message: Pgoutput.Message, bytes: number): void
  /** `isReplyWanted`: the server ends the stream unless it hears of us soon. */
  onKeepalive (walEnd: bigint, isReplyWanted: boolean): void
}

/** What the plugin makes of a message: a fault while parsing must not be thrown in the socket's handler, where it would end the process. */
type Parsed = { message: Pgoutput.Message, bytes: number } | { fault: unknown }

/** Values stay text: what they mean is decided column by column (column-types.ts). */
class TextPgoutput extends PgoutputPlugin {
  override parse (buffer: Buffer): never {
    return this.#parse(buffer) as never
  }

  #parse (buffer: Buffer): Parsed {
    try {
      const message = super.parse(buffer)
      if (message.tag === 'relation') for (const column of message.columns) column.parser = text => text as string
      return { message, bytes: buffer.length }
    } catch (fault) {
      return { fault }
    }
  }
}

/**
 * One life of a replication stream. The library brings the protocol; when to acknowledge, and what, is ours: by itself it
 * would acknowledge what it has only received. `ended` settles once, when the stream is over, with the reason.
 */
export class ReplicationStream {
  readonly ended: Promise<unknown>
  readonly #service: LogicalReplicationService
  readonly #end: (reason: unknown) => void
  readonly #options: StreamOptions

  constructor (options: StreamOptions) {
    this.#options = options
    let end: (reason: unknown) => void = () => {}
    this.ended = new Promise(resolve => { end = resolve })
    this.#end = end
    // The bound of a query would end the stream, which is one.
    this.#service = new LogicalReplicationService({ ...options.config, query_timeout: 0 }, {
      acknowledge: { auto: false, timeoutSeconds: 0 }, flowControl: { enabled: false }
    })
  }

  /** Resolves when the server streams; rejects when the stream has ended before it did. */
  async start (): Promise<void> {
    const { slot, publication, onMessage, onKeepalive } = this.#options
    const service = this.#service
    const guarded = (work: () => void) => {
      try {
        work()
      } catch (error) {
        this.#end(error)
      }
    }
    service.on('error', error => this.#end(error))
    service.on('data', (_lsn: string, parsed: Parsed) => guarded(() => {
      if ('fault' in parsed) throw parsed.fault
      onMessage(parsed.message, parsed.bytes)
    }))
    service.on('heartbeat', (lsn, _timestamp, isReplyWanted) => guarded(() => onKeepalive(parseLsn(lsn), isReplyWanted)))
    const started = new Promise<void>(resolve => service.on('start', () => resolve()))
    service.subscribe(new TextPgoutput({ protoVersion: 1, publicationNames: [publication] }), slot).then(
      () => this.#end(new Error('Connection terminated by the server')), error => this.#end(error))
    await Promise.race([started, this.ended.then(reason => { throw reason ?? new Error('Connection terminated') })])
  }

  /** Everything below `lsn` is dealt with. With `isPing`, the server answers with where it is. */
  acknowledge (lsn: bigint, isPing: boolean): void {
    // The library adds one to what it is given. One more than the end of a transaction may be within the next one's commit,
    // which the server would never send again; and a server that shuts down waits for exactly where it is.
    void this.#service.acknowledge(formatLsn(lsn - 1n), isPing).catch(error => this.#end(error))
  }

  pause (): void { this.#socket?.pause() }
  resume (): void { this.#socket?.resume() }

  async stop (): Promise<void> {
    this.#end(undefined)
    const socket = this.#socket
    const stopping = this.#service.stop().catch(() => {})
    socket?.destroy()
    await stopping
    this.#service.removeAllListeners()
    this.#service.on('error', () => {})
  }

  /** The library pauses it the same way, but only for each message. */
  get #socket (): Socket | undefined {
    return (this.#service as unknown as { _connection: { stream: Socket } | null })._connection?.stream
  }
}
