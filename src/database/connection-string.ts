import type { ClientConfig } from 'pg'
import { invalid } from '../json.ts'
import { createAddressGuard } from '../webhooks/address-guard.ts'

/** Where a connection string leads, without the secret. */
export interface SourceAddress { host: string, port: number, database: string, user: string }

/** Of a query only what cannot make this server read its own files. */
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

/** Everything that waits for a connected database is bounded. */
export const connectTimeoutMs = 4000
const statementTimeoutMs = 10_000

/** What the text of values depends on: the decoder counts on it, whatever the server's and the role's defaults are. */
const sessionOptions = '-c datestyle=ISO -c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=1 -c bytea_output=hex'

export interface ParsedConnectionString extends SourceAddress { config: ClientConfig }

/** Throws ValidationError at `/connectionString`, whose text never has the password. */
export function parseConnectionString (text: string): ParsedConnectionString {
  const url = parse(text)
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) throw refused('must be a URL: postgres://user:password@host:port/database')
  if (url.hostname === '') throw refused('must name a host')
  const database = decode(url.pathname.slice(1))
  const user = decode(url.username)
  const password = decode(url.password)
  if (database === undefined || user === undefined || password === undefined) throw refused('has a broken percent escape')
  if (database === '' || user === '') throw refused(`must name a ${database === '' ? 'database' : 'user'}`)
  if ([database, user, password].some(part => part.includes('\0'))) throw refused('must not contain the NUL character')
  for (const name of url.searchParams.keys()) {
    if (!knownParameters.has(name)) throw refused(`has a parameter that is not supported: ${name.slice(0, 50)}; there are ${[...knownParameters].join(', ')}`)
  }
  const sslmode = url.searchParams.get('sslmode') ?? 'disable'
  if (!Object.hasOwn(sslModes, sslmode)) throw refused(`has an sslmode that is not known: ${sslmode.slice(0, 50)}; there are ${Object.keys(sslModes).join(', ')}`)
  requireNoMetadata(url.hostname)
  const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 5432), database, user }
  return {
    ...address,
    config: {
      ...address,
      password,
      ssl: sslModes[sslmode],
      application_name: url.searchParams.get('application_name') ?? 'realtime-platform-cdc',
      options: sessionOptions,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: statementTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000
    }
  }
}

const guard = createAddressGuard({ allowPrivate: true, allowedNetworks: [], resolve: async () => [] })

/** Databases stand on private addresses; the services at which clouds hand out credentials are none. */
function requireNoMetadata (hostname: string): void {
  try {
    guard.checkHost(hostname)
  } catch (error) {
    throw refused(`leads nowhere that has a database: ${(error as Error).message}`)
  }
}

/** For showing: the password is write-only. */
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

function decode (part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

const refused = (message: string) => invalid('/connectionString', message)
