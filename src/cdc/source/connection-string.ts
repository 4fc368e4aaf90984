import type { ClientConfig } from 'pg'
import { invalid } from '../../foundation/json.ts'
import { createAddressGuard } from '../../webhooks/http/address-guard.ts'

/** The address in a connection string, without the password. */
export interface SourceAddress { host: string, port: number, database: string, user: string }

/** Only parameters that cannot make this server read its own files. */
const knownParameters = new Set(['sslmode', 'application_name', 'connect_timeout'])
const sslModes: Record<string, ClientConfig['ssl']> = {
  disable: false,
  allow: false,
  prefer: { rejectUnauthorized: false },
  require: { rejectUnauthorized: false },
  'no-verify': { rejectUnauthorized: false },
  'verify-ca': { rejectUnauthorized: true },
  'verify-full': { rejectUnauthorized: true }
}

/** Every wait for a connected database has a limit. */
export const connectTimeoutMs = 4000
const statementTimeoutMs = 10_000

/**
 * The text of values depends on these settings. They override the defaults of server and role.
 */
const sessionOptions =
  '-c datestyle=ISO -c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=1 -c bytea_output=hex'

/**
 * Options that the driver's types lack. `replication` is a start-up parameter; `false` requests an ordinary session.
 */
export type SourceConfig = ClientConfig & { replication: 'false' | 'database', sslnegotiation: 'postgres' }

export interface ParsedConnectionString extends SourceAddress { config: SourceConfig }

/** Parses a connection string. Throws ValidationError at `/connectionString`; its text never contains the password. */
export function parseConnectionString (text: string): ParsedConnectionString {
  const url = parseUrl(text)
  const address = addressOf(url)
  const password = passwordOf(url, text)
  const { sslmode, applicationName } = parametersOf(url)
  requireNoMetadata(url.hostname)
  return {
    ...address,
    // The driver replaces each empty setting with the operator's own, from PGPASSWORD, ~/.pgpass, PGHOST, PGAPPNAME and
    // the like. So every setting that it reads is given here and not empty; the password is a function, which is never
    // replaced.
    config: {
      ...address,
      password: () => password,
      ssl: sslModes[sslmode],
      sslnegotiation: 'postgres',
      replication: 'false',
      client_encoding: 'UTF8',
      application_name: applicationName,
      options: sessionOptions,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: statementTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000
    }
  }
}

/** All of ASCII that is not visible, and `#`. */
const unencoded = /[^!-~\u0080-\uffff]|#/

/**
 * Refuses spaces and control characters, because the URL parser drops some of them, and `#`, because the text after it
 * would be ignored.
 */
function parseUrl (text: string): URL {
  const url = parse(text)
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw refused('must be a URL: postgres://user:password@host:port/database')
  }
  if (unencoded.test(text)) throw refused('must have spaces, control characters and # percent-encoded')
  return url
}

function addressOf (url: URL): SourceAddress {
  const { hostname } = url
  if (hostname === '') throw refused('must name a host')
  if (!/^(?:[\w.-]+|\[[\d.:a-f]+\])$/i.test(hostname)) {
    throw refused('must have a host name of ASCII letters, digits, dots and hyphens, or an IP address')
  }
  const [database, user] = [decode(url.pathname.slice(1)), decode(url.username)]
  if (database === '' || user === '') throw refused(`must name a ${database === '' ? 'database' : 'user'}`)
  const port = Number(url.port || 5432)
  if (port === 0) throw refused('must have a port from 1 to 65535')
  return { host: hostname.replace(/^\[|\]$/g, ''), port, database, user }
}

/** The URL parser does not distinguish an empty password from a missing one. */
function passwordOf (url: URL, text: string): string {
  if (url.password === '' && !/^\w+:\/\/[^/?]*:@/.test(text)) {
    throw refused('must have a password; write user:@host if the user has none')
  }
  return decode(url.password)
}

function parametersOf ({ searchParams }: URL): { sslmode: string, applicationName: string } {
  const names = [...searchParams.keys()]
  const unknown = names.find(name => !knownParameters.has(name))
  if (unknown !== undefined) {
    throw refused(
      `has an unsupported parameter: ${unknown.slice(0, 50)}; use ${[...knownParameters].join(', ')}`
    )
  }
  if (new Set(names).size < names.length) throw refused('must have each parameter at most once')
  if ([...searchParams.values()].some(value => value.includes('\0'))) throw refused(nulRefused)
  const sslmode = searchParams.get('sslmode') ?? 'disable'
  if (!Object.hasOwn(sslModes, sslmode)) {
    throw refused(
      `has an unknown sslmode: ${sslmode.slice(0, 50)}; use ${Object.keys(sslModes).join(', ')}`
    )
  }
  return { sslmode, applicationName: searchParams.get('application_name') || 'realtime-platform-cdc' }
}

const guard = createAddressGuard({ allowPrivate: true, allowedNetworks: [], resolve: async () => [] })

/** Databases may have private addresses, but not those of the metadata services that issue a cloud's credentials. */
function requireNoMetadata (hostname: string): void {
  try {
    guard.checkHost(hostname)
  } catch (error) {
    throw refused(`must name the host of a database: ${(error as Error).message}`)
  }
}

/** Removes the password, which is never returned. */
export function withoutPassword (text: string): string {
  const url = new URL(text)
  url.password = ''
  return url.href
}

function parse (text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

const nulRefused = 'must not contain the NUL character'

function decode (part: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(part)
  } catch {
    throw refused('has an invalid percent escape')
  }
  // A NUL would end the value in the start-up packet, and the rest would become a parameter of the caller's choice.
  if (decoded.includes('\0')) throw refused(nulRefused)
  return decoded
}

const refused = (message: string) => invalid('/connectionString', message)
