import { isIP } from 'node:net'
import { pino } from 'pino'
import { ConfigError, isProduction, type Config } from '../config.ts'
import { UnreadableSecretError } from '../foundation/encryption/encryption.ts'

/**
 * A start that failed for a reason outside the program. The message is one sentence that names the variable to change.
 */
export class StartError extends Error {
  constructor (message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StartError'
  }
}

/**
 * Reports why a command could not start: one sentence on stderr, or one JSON line on stdout in production. The stack
 * is included only for faults of the program itself.
 */
export function reportStartFailure (error: unknown): void {
  const isExplained = error instanceof StartError || error instanceof ConfigError
  if (isProduction()) {
    const logger = pino({ level: 'fatal' })
    if (isExplained) logger.fatal({ reason: error.message }, 'server.start_failed')
    else logger.fatal({ err: error }, 'server.start_failed')
    return
  }
  process.stderr.write(`${isExplained ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
}

/** Translates an error of the data folder, or of the embedded PostgreSQL in it. */
export function dataDirFailure (error: unknown, dataDir: string): StartError {
  const reason = fileReasons[codeOf(error) ?? '']
  if (reason !== undefined) {
    return new StartError(`DATA_DIR ${dataDir} ${reason}. Set DATA_DIR to a folder that the server may write to.`, {
      cause: error
    })
  }
  return new StartError(`The embedded PostgreSQL did not start: ${messageOf(error)}.`, { cause: error })
}

const fileReasons: Record<string, string> = {
  EACCES: 'is not writable for this user',
  EPERM: 'is not writable for this user',
  EROFS: 'is on a read-only file system',
  ENOSPC: 'is on a disk that is full',
  EDQUOT: 'is on a disk whose quota is used up',
  ENOTDIR: 'is inside a path that is not a folder',
  ELOOP: 'is a symbolic link to itself',
  EEXIST: 'is not a folder',
  EISDIR: 'has a folder where a file is expected',
  ENOENT: 'cannot be created there',
  EINVAL: 'cannot be created there',
  ENAMETOOLONG: 'has a name that is too long',
  EMFILE: 'cannot be opened, because the process has too many open files',
  ENFILE: 'cannot be opened, because the machine has too many open files'
}

/** Translates secrets that no configured key decrypts. */
function encryptionFailure (error: unknown): StartError | undefined {
  const cause = rootOf(error)
  return cause instanceof UnreadableSecretError
    ? new StartError(`ENCRYPTION_KEY: ${cause.message}.`, { cause: error })
    : undefined
}

/** Translates an error of the platform's own database or of the secrets in it; any other error is returned as it is. */
export function databaseFailure (error: unknown, url: string): unknown {
  const unreadable = encryptionFailure(error)
  if (unreadable !== undefined) return unreadable
  const cause = rootOf(error)
  const code = codeOf(cause)
  const at = addressOf(url)
  const sentence =
    (code !== undefined
      ? connectReasons[code]?.(at, messageOf(cause)) ?? databaseReasons[code]?.(at, messageOf(cause))
      : undefined) ??
      messageReason(messageOf(cause), at)
  return sentence === undefined ? error : new StartError(`DATABASE_URL: ${sentence}`, { cause: error })
}

type Sentence = (at: Address, message: string) => string
interface Address { host: string, port: string, user: string, database: string }

const connectReasons: Record<string, Sentence> = {
  ECONNREFUSED: ({ host, port }) =>
    `nothing accepts connections at ${host}:${port}. Start PostgreSQL there, or change the address.`,
  ENOTFOUND: ({ host }) => `the host ${host} does not exist.`,
  EAI_AGAIN: ({ host }) => `the name ${host} could not be resolved. Check DNS.`,
  ETIMEDOUT: ({ host, port }) => `${host}:${port} did not answer in time.`,
  EHOSTUNREACH: ({ host, port }) => `${host}:${port} is not reachable from here.`,
  ENETUNREACH: ({ host, port }) => `${host}:${port} is not reachable from here.`,
  ECONNRESET: ({ host, port }) => `${host}:${port} closed the connection. Is it a PostgreSQL server?`,
  ENOENT: ({ host }) => `there is no PostgreSQL socket in ${host}.`
}

const databaseReasons: Record<string, Sentence> = {
  '28P01': ({ user }) => `PostgreSQL refused the password of the user "${user}".`,
  28000: ({ user }) => `PostgreSQL does not let the user "${user}" connect from here. Check its pg_hba.conf.`,
  '3D000': ({ database }) => `the database "${database}" does not exist. Create it first: createdb ${database}`,
  42501: ({ user }, message) =>
    `the user "${user}" lacks a right that the migrations need (${message}). Make it the owner of the database.`,
  53300: ({ host, port }) => `PostgreSQL at ${host}:${port} has reached its connection limit. Raise max_connections.`,
  '57P03': ({ host, port }) => `PostgreSQL at ${host}:${port} is still starting or shutting down. Retry shortly.`,
  25006: ({ host, port }) => `PostgreSQL at ${host}:${port} is read-only. Use the primary's address.`
}

const messagePatterns: [RegExp, Sentence][] = [
  [
    /does not support SSL/i,
    ({ host, port }) =>
      `PostgreSQL at ${host}:${port} does not offer TLS. Remove sslmode from the address, or set up TLS there.`
  ],
  [/timeout|terminated due to connection/i, ({ host, port }) => `${host}:${port} did not answer in time.`],
  [/terminated unexpectedly/i, ({ host, port }) => `${host}:${port} closed the connection. Is it a PostgreSQL server?`],
  [
    /certificate|self.signed/i,
    ({ host, port }) =>
      `the certificate of ${host}:${port} is not trusted. Check sslmode and sslrootcert in the address.`
  ],
  [
    /password must be a string|no password/i,
    ({ user }) => `PostgreSQL requires a password for the user "${user}", and the address has none.`
  ],
  [/newer than this program/i, (_, message) => message]
]

function messageReason (message: string, at: Address): string | undefined {
  for (const [pattern, sentence] of messagePatterns) if (pattern.test(message)) return sentence(at, message)
}

/** Translates an error of `listen`; any other error is returned as it is. */
export function listenFailure (error: unknown, { host, port }: Config['http']): unknown {
  const sentence = listenReasons[codeOf(error) ?? '']?.(host, port)
  return sentence === undefined ? error : new StartError(sentence, { cause: error })
}

const listenReasons: Record<string, (host: string, port: number) => string> = {
  EADDRINUSE: (host, port) =>
    `PORT ${port} on ${host} is in use by another program. Stop that program, or set PORT to another number.`,
  EACCES: (_, port) => `PORT ${port} requires special privileges. Set PORT to 1024 or above.`,
  EADDRNOTAVAIL: host =>
    `HOST ${host} is not an address of this machine. Set HOST to 127.0.0.1, or to 0.0.0.0 for all addresses.`,
  ENOTFOUND: host => `HOST ${host} does not exist. Set HOST to an address of this machine.`,
  EAI_AGAIN: host => `HOST ${host} could not be resolved. Set HOST to an address of this machine.`
}

/** Returns the root cause, or the first error of several attempts to connect. */
function rootOf (error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return rootOf(error.errors[0])
  if (error instanceof Error && error.cause !== undefined) return rootOf(error.cause)
  return error
}

function codeOf (error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Parses the parts of an address, without the password. The folder of a socket may be in the query. */
function addressOf (url: string): Address {
  try {
    const { hostname, port, username, pathname, searchParams } = new URL(url)
    const host = hostname === '' ? searchParams.get('host') ?? 'localhost' : decodeURIComponent(hostname)
    const user = decodeURIComponent(username)
    const database = decodeURIComponent(pathname.slice(1))
    const isV6 = isIP(host.replace(/^\[|\]$/g, '')) === 6
    return {
      host: isV6 && !host.startsWith('[') ? `[${host}]` : host,
      port: port === '' ? '5432' : port,
      user,
      database: database === '' ? user : database
    }
  } catch {
    return { host: 'its host', port: '5432', user: '', database: '' }
  }
}
