import pg from 'pg'
import { ServiceUnavailableError } from '../../errors.ts'
import { explainForeignError } from '../../foundation/foreign-errors.ts'
import { parseConnectionString, type SourceConfig } from './connection-string.ts'
import { CheckedSocket } from '../wire/checked-socket.ts'
import { defaultWireLimits, type WireLimits } from '../wire/conversation.ts'
import { AuthenticationMethodError, ProtocolError, TlsError } from '../wire/protocol-error.ts'

/** The problems of a connected database, as its connection's state reports them. docs/DATABASE.md lists them. */
export const sourceProblems = {
  SOURCE_UNREACHABLE: 'The database cannot be reached, or is starting or stopping.',
  SOURCE_AUTH_FAILED: 'The database refuses the user or the password.',
  SOURCE_NOT_FOUND: 'The server has no such database.',
  SOURCE_REFUSED: 'The platform refuses to connect to this database.',
  SOURCE_AUTH_UNSUPPORTED:
    'The server requires an unsupported authentication method. Supported methods are scram-sha-256, md5 and password.',
  SOURCE_TLS: 'A TLS connection to the server cannot be established.',
  SOURCE_CRASHED: 'The thread that talks to the database crashed, hung or used too much memory, and was ended.',
  SOURCE_PROTOCOL: 'The server violates the PostgreSQL protocol or exceeds a limit.',
  SOURCE_STATEMENT: 'The database rejects a statement of the platform.',
  SOURCE_UNSUPPORTED: 'The server is older than PostgreSQL 14.',
  SOURCE_PRIVILEGE: 'The user lacks a privilege.',
  SOURCE_REPLACED: 'The server is not the one that the position belongs to: changes since the position are lost.',
  WAL_LEVEL: 'The server\'s wal_level is not logical.',
  SLOT_LIMIT: 'The server has no free replication slot or WAL sender.',
  SLOT_WAITS:
    'The replication slot is being created: PostgreSQL waits until the transactions that were writing have ended.',
  SLOT_BUSY: 'Another program holds the replication slot. The platform does not touch it.',
  SLOT_FOREIGN:
    'The replication slot exists, and this connection did not create it. The platform does not touch it: choose ' +
      'another name for `slot`, or drop it if nothing needs it.',
  SLOT_TAKEN: 'Another connection of this platform uses the same replication slot.',
  SLOT_LOST: 'The replication slot was dropped or invalidated: changes since the last position are lost.',
  SLOT_MOVED: 'Another program advanced the replication slot: changes in between are lost.',
  PUBLICATION_LOST: 'The publication was dropped: changes since then are lost.',
  DECODING_FAILED:
    'PostgreSQL fails to decode a transaction. If it fails there again, the reader skips the rest of the ' +
      'transaction and records the loss in the delivery log of each mapping.',
  PLATFORM_UNAVAILABLE: "The platform's own database cannot store the changes.",
  READER_FAILED: "The reader failed. The platform's log has the reason."
} as const
export type SourceProblem = keyof typeof sourceProblems

/** Problems after which changes are missing: the reader stops until the user accepts the gap. */
export const lossProblems: ReadonlySet<SourceProblem> = new Set([
  'SOURCE_REPLACED', 'SLOT_LOST', 'SLOT_MOVED', 'PUBLICATION_LOST'
])

const detailMax = 500

/** An error of a connected database. The detail may quote the server, and is truncated. */
export class SourceError extends Error {
  readonly code: SourceProblem
  constructor (code: SourceProblem, detail?: string, options?: { cause: unknown }) {
    super(detail === undefined ? sourceProblems[code] : `${sourceProblems[code]} ${cut(detail, detailMax)}`, options)
    this.code = code
  }

  /** Restores an error that was thrown in another thread. */
  static of (code: SourceProblem, message: string): SourceError {
    return Object.assign(new SourceError(code), { message: cut(message, sourceProblems[code].length + 1 + detailMax) })
  }
}

/**
 * Makes one line that can be stored as JSON. Copies the text: a slice of a long text would keep all of it in memory.
 */
function cut (text: string, lengthMax: number): string {
  return Buffer.from(text.slice(0, lengthMax)).toString().replace(/\p{Cc}/gu, ' ')
}

let wireLimits = defaultWireLimits

/** Sets the limits for this thread. Call it before the first session. */
export function setWireLimits (limits: WireLimits): void {
  wireLimits = limits
}

export interface SessionConfig extends Partial<SourceConfig> {
  /** Ends the session's application name, so that the session can be recognised. */
  mark?: string
}

/** Runs statements. */
export interface Queryable {
  query<Row extends pg.QueryResultRow = Record<string, unknown>> (
    text: string, values?: unknown[]
  ): Promise<{ rows: Row[], rowCount: number | null }>
}

/** A session in a connected database. Everything that its server sends is checked before it is parsed. */
export interface SourceClient extends Queryable {
  /** Opens another session of the same user in the same database. Throws SourceError. */
  another (more: SessionConfig): Promise<SourceClient>
  /** Closes the session without waiting for the server. */
  close (): Promise<void>
}

/** Opens a session. Throws SourceError. */
export async function openSource (connectionString: string, more: SessionConfig = {}): Promise<SourceClient> {
  const { client, close } = await openSession(connectionString, more)
  return {
    async query (text, values) {
      const result: pg.QueryResult | pg.QueryResult[] = await client.query(text, values)
      // The result of several statements is that of the last one.
      const { rows, rowCount } = Array.isArray(result) ? result.at(-1) as pg.QueryResult : result
      return { rows, rowCount }
    },
    another: config => openSource(connectionString, config),
    close
  }
}

/** Opens a session and returns its client, for more than queries. Throws SourceError. */
export async function openSession (
  connectionString: string, more: SessionConfig = {}
): Promise<{ client: pg.Client, close: () => Promise<void> }> {
  const { mark, ...others } = more
  const config = { ...configOf(connectionString), statement_timeout: 10_000, lock_timeout: 5000, ...others }
  if (mark !== undefined) config.application_name = markedName(config.application_name ?? '', mark)
  const tls = typeof config.ssl === 'object' ? config.ssl : false
  const socket = new CheckedSocket({ tls, limits: wireLimits, mayStream: config.replication === 'database' })
  const client = new pg.Client({ ...config, ssl: false, stream: () => socket })
  // An error between two queries surfaces at the next query.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    socket.destroy()
    throw toSourceError(error)
  }
  return { client, close: () => closeSession(client, socket) }
}

const nameBytesMax = 63

/** The application name as the server shows it: truncated to its limit in front of the mark. */
const markedName = (name: string, mark: string): string =>
  `${name.replace(/[^ -~]/g, '?').slice(0, nameBytesMax - mark.length - 1)} ${mark}`

/** A stored connection string may predate a rule that now refuses it. */
function configOf (connectionString: string): SourceConfig {
  try {
    return parseConnectionString(connectionString).config
  } catch (error) {
    throw new SourceError('SOURCE_REFUSED', `(${(error as Error).message})`, { cause: error })
  }
}

const farewellMs = 1000

async function closeSession (client: pg.Client, socket: CheckedSocket): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => { timer = setTimeout(resolve, farewellMs) })
  await Promise.race([client.end().catch(() => {}), late])
  clearTimeout(timer)
  socket.destroy()
}

/** For a request that needs the connected database now. */
export const unavailableNow = (error: SourceError) =>
  new ServiceUnavailableError('SOURCE_UNAVAILABLE', `The connected database cannot be used: ${error.message}`, {
    cause: error,
    retryAfterS: 5
  })

const codes: [RegExp, SourceProblem][] = [
  [/^28/, 'SOURCE_AUTH_FAILED'],
  [/^3D000$/, 'SOURCE_NOT_FOUND'],
  [/^42501$/, 'SOURCE_PRIVILEGE'],
  [/^55006$/, 'SLOT_BUSY'],
  [/^(53400|53300)$/, 'SLOT_LIMIT'],
  [/^(08|57P|53|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)/, 'SOURCE_UNREACHABLE']
]

/** An error that the connected database returned for a statement; not one of the platform's own database. */
export class StatementError extends pg.DatabaseError {
  constructor (message: string, code: string | undefined, severity: string | undefined) {
    super(message, message.length, 'error')
    this.code = code
    this.severity = severity
  }
}

/** As `toSourceError`, for code that processes results: a server may return anything. */
export function toConversationError (error: unknown): Error {
  const isUnreadable = error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError
  return isUnreadable
    ? new SourceError('SOURCE_PROTOCOL', '(the result of a query is malformed)', { cause: error })
    : toSourceError(error)
}

/** Classifies an error by its SQLSTATE, or by its message where that is all there is: messages are always English. */
export function toSourceError (error: unknown): Error {
  if (error instanceof SourceError || !(error instanceof Error)) return error as Error
  if (error instanceof ProtocolError) return new SourceError('SOURCE_PROTOCOL', `(${error.message})`, { cause: error })
  if (error instanceof AuthenticationMethodError) {
    return new SourceError('SOURCE_AUTH_UNSUPPORTED', `(${error.message})`, { cause: error })
  }
  if (error instanceof TlsError) return new SourceError('SOURCE_TLS', `(${error.message})`, { cause: error })
  const { code = '', message } = error as Error & { code?: string }
  const said = (problem: SourceProblem) => new SourceError(problem, `(${explainForeignError(error)})`, { cause: error })
  if (/publication .* does not exist/.test(message)) return said('PUBLICATION_LOST')
  if (/replication slot .* does not exist|can no longer (get|access)|slot .* (was )?invalidated/.test(message)) {
    return said('SLOT_LOST')
  }
  for (const [form, problem] of codes) if (form.test(code)) return said(problem)
  if (/^SASL.*client password/.test(message)) {
    return new SourceError('SOURCE_AUTH_FAILED', '(the server requires a password)', { cause: error })
  }
  if (message.startsWith('SASL')) {
    return new SourceError('SOURCE_PROTOCOL', '(the SCRAM exchange is invalid)', { cause: error })
  }
  if (/timeout|Connection terminated|connection error|Client was closed|does not support SSL/i.test(message)) {
    return said('SOURCE_UNREACHABLE')
  }
  if (error instanceof StatementError) return said('SOURCE_STATEMENT')
  return error
}
