import { pino, type Logger, type LoggerOptions } from 'pino'
import type { Config } from './config.ts'

/** Where a secret could stand, if somebody logged the object around it. */
const redact = [
  'req.headers.authorization', 'req.headers["x-session-token"]', 'headers.authorization', 'headers["x-session-token"]',
  '*.password', '*.token', '*.secret', '*.sessionToken', '*.setupToken', '*.connectionString', 'err.config', 'password', 'token', 'secret'
]

/** JSON lines in production, readable ones at a terminal. */
export function createLogger (config: Config): Logger {
  const options: LoggerOptions = { level: config.log.level, redact: { paths: redact, censor: '[redacted]' } }
  if (config.isProduction || !process.stdout.isTTY) return pino(options)
  return pino({ ...options, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'HH:MM:ss' } } })
}

const withoutQuery = (value: unknown): unknown => typeof value === 'string' ? value.split('?', 1)[0] : value

/** What a plugin of somebody else might log of a request: its URL without the query, where a token may stand. */
const requestOf = (request: { id?: unknown, method?: unknown, url?: unknown } | undefined) =>
  ({ id: request?.id, method: request?.method, url: withoutQuery(request?.url) })

/** An error without the bytes of the request that it is about. */
function errorOf (error: unknown): unknown {
  const serialised = pino.stdSerializers.err(error as Error) as unknown
  return typeof serialised !== 'object' || serialised === null ? serialised : { ...serialised, rawPacket: undefined, raw: undefined }
}

/** Of a logger in which no URL has a query, whoever logs it. */
export const querylessSerializers = {
  path: withoutQuery, url: withoutQuery, originalUrl: withoutQuery, req: requestOf, request: requestOf, err: errorOf, error: errorOf
}
