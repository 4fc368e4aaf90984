import type pg from 'pg'
import type { StreamPlace } from '../../events/intent.ts'
import { openSession } from '../source/source.ts'
import { quoteIdentifier } from '../mappings/table-name.ts'
import { PgoutputCheck } from '../wire/pgoutput-check.ts'
import { wholeTransaction } from './change-pipeline.ts'
import { behind, formatLsn, parseLsn } from '../source/stream-state.ts'
import { PgoutputParser, type StreamMessage } from './pgoutput-parser.ts'
import { textDecoder, type DecodeText } from './text-decoder.ts'

export interface StreamOptions {
  connectionString: string
  /** Ends the session's application name. */
  mark: string
  slot: string
  publication: string
  /** The stored position: the server need not decode what comes before it. */
  place: StreamPlace
  onMessage (message: StreamMessage, bytes: number): void
  /** With `isReplyWanted`, the server ends the stream unless it receives a reply soon. */
  onKeepalive (walEnd: bigint, isReplyWanted: boolean): void
}

/** A node-postgres connection with the member that its types omit. */
type CopyConnection = pg.Connection & { sendCopyFromChunk (chunk: Buffer): void }

/** PostgreSQL counts microseconds from 2000. */
const epochMs = Date.UTC(2000, 0, 1)
const walData = 0x77
const walHeaderBytes = 25
const statusBytes = 34

/**
 * One session of a replication stream. Its owner decides when and what to acknowledge. `ended` settles once, when the
 * stream is over, with the reason.
 */
export class ReplicationStream {
  readonly ended: Promise<unknown>
  readonly #end: (reason: unknown) => void
  readonly #options: StreamOptions
  readonly #check = new PgoutputCheck()
  #parser: PgoutputParser | undefined
  #session: { client: pg.Client, close: () => Promise<void> } | undefined
  #isStopped = false

  constructor (options: StreamOptions) {
    this.#options = options
    let end: (reason: unknown) => void = () => {}
    this.ended = new Promise(resolve => { end = resolve })
    this.#end = end
  }

  /** Resolves when the server streams. Rejects if the stream ends before that. */
  async start (): Promise<void> {
    const { connectionString, mark, slot, publication, place } = this.#options
    // The limit of a query would end the stream, which is one query.
    const session = await openSession(connectionString, {
      replication: 'database', statement_timeout: false, lock_timeout: 0, query_timeout: 0, mark
    })
    this.#session = session
    if (this.#isStopped) return await session.close()
    this.#parser = new PgoutputParser(await agreeOnEncoding(session.client))
    const { connection } = session.client
    const started = new Promise<void>(resolve => connection.once('replicationStart', resolve))
    connection.on('copyData', ({ chunk }: { chunk: Buffer }) => {
      try {
        this.#take(chunk)
      } catch (error) {
        this.#end(error)
      }
    })
    const names = quoteLiteral(quoteIdentifier(publication))
    session.client.query(
      `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${
        startOf(place)
      } (proto_version '1', publication_names ${names}, messages 'false')`
    ).then(
      () => this.#end(new Error('Connection terminated by the server')), error => this.#end(error)
    )
    await Promise.race([
      started,
      this.ended.then(reason => {
        throw reason ?? new Error('Connection terminated')
      })
    ])
  }

  /** Acknowledges everything below `lsn`. With `isPing`, the server responds with its position. */
  acknowledge (lsn: bigint, isPing: boolean): void {
    const status = Buffer.alloc(statusBytes)
    status.write('r', 0, 'latin1')
    for (const at of [1, 9, 17]) status.writeBigUInt64BE(lsn, at)
    status.writeBigInt64BE(BigInt(Date.now() - epochMs) * 1000n, 25)
    status.writeUInt8(isPing ? 1 : 0, 33)
    this.#connection?.sendCopyFromChunk(status)
  }

  pause (): void { this.#connection?.stream.pause() }
  resume (): void { this.#connection?.stream.resume() }

  async stop (): Promise<void> {
    this.#isStopped = true
    this.#end(undefined)
    await this.#session?.close()
  }

  #take (chunk: Buffer): void {
    if (this.#isStopped) return
    if (chunk[0] === walData) {
      const content = chunk.subarray(walHeaderBytes)
      this.#check.check(content)
      if (this.#parser !== undefined) this.#options.onMessage(this.#parser.parse(content), content.length)
    } else this.#options.onKeepalive(chunk.readBigUInt64BE(1), chunk[17] === 1)
  }

  get #connection (): CopyConnection | undefined {
    return this.#session?.client.connection as CopyConnection | undefined
  }
}

/**
 * Requests texts in the database's own encoding: a text that PostgreSQL could not convert would end the stream, and
 * would do so again each time.
 */
async function agreeOnEncoding (client: pg.Client): Promise<DecodeText> {
  const { rows: [row] } = await client.query<{ server_encoding: string }>('SHOW server_encoding')
  const decode = textDecoder(row?.server_encoding ?? '')
  // PostgreSQL converts the encodings that this process cannot decode.
  if (decode === undefined) return textDecoder('UTF8') as DecodeText
  await client.query("SET client_encoding TO 'SQL_ASCII'")
  return decode
}

/**
 * Returns where to start: transactions that committed before it are stored. PostgreSQL never starts before the
 * acknowledged position of the slot.
 */
const startOf = ({ commitLsn, changeIndex }: StreamPlace): string =>
  changeIndex === wholeTransaction ? formatLsn(behind(parseLsn(commitLsn))) : commitLsn

const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`
