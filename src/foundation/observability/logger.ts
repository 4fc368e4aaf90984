import { pino, type Logger, type LoggerOptions } from 'pino'

/** Paths that could hold a secret if the object around it were logged. */
const redact = [
  'req.headers.authorization',
  'req.headers["x-session-token"]',
  'headers.authorization',
  'headers["x-session-token"]',
  '*.password',
  '*.token',
  '*.secret',
  '*.sessionToken',
  '*.setupToken',
  '*.connectionString',
  'err.config',
  'password',
  'token',
  'secret'
]

/** Creates the logger: JSON lines in production, readable lines at a terminal. */
export function createLogger (config: { log: { level: string }, isProduction: boolean }): Logger {
  const options: LoggerOptions = {
    level: config.log.level, serializers: querylessSerializers, redact: { paths: redact, censor: '[redacted]' }
  }
  if (config.isProduction || !process.stdout.isTTY) return pino(options)
  return pino({
    ...options,
    transport: {
      target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'HH:MM:ss', singleLine: true }
    }
  })
}

const withoutQuery = (value: unknown): unknown => typeof value === 'string' ? value.split('?', 1)[0] : value

/** Restricts what a third-party plugin may log of a request: its URL goes without the query, which may hold a token. */
const requestOf = (request: { id?: unknown, method?: unknown, url?: unknown } | undefined) =>
  ({ id: request?.id, method: request?.method, url: withoutQuery(request?.url) })

/**
 * Members of an error that are logged beside its message. All others are left out: drivers attach the client, its
 * configuration or the packet to an error, and PostgreSQL's `detail` and `where` quote rows.
 */
const errorMembers = [
  'code', 'errno', 'syscall', 'hostname', 'address', 'port', 'path', 'status', 'statusCode', 'responseCode', 'command',
  'severity', 'schema', 'table', 'column', 'constraint', 'dataType', 'position', 'routine', 'reason'
]
const messageLengthMax = 2000
const stackLengthMax = 8000
const causesMax = 4

function errorOf (error: unknown, depth = 0): unknown {
  if (typeof error === 'string') return error.slice(0, messageLengthMax)
  if (typeof error !== 'object' || error === null) return error
  const { name, message, stack, cause, errors } = error as Partial<AggregateError>
  const members = errorMembers.flatMap(member => {
    const value = (error as Record<string, unknown>)[member]
    return typeof value === 'number'
      ? [[member, value]]
      : typeof value === 'string'
        ? [[member, value.slice(0, messageLengthMax)]]
        : []
  })
  const deeper = depth < causesMax
  return {
    type: error.constructor?.name ?? name,
    message: message?.slice(0, messageLengthMax),
    ...Object.fromEntries(members) as object,
    ...(deeper && cause !== undefined && { cause: errorOf(cause, depth + 1) }),
    ...(deeper && Array.isArray(errors) && { errors: errors.slice(0, causesMax).map(one => errorOf(one, depth + 1)) }),
    stack: stack?.slice(0, stackLengthMax)
  }
}

/** Returns code and message of a failure that needs no stack, because our code is not at fault. */
export function reasonOf (error: unknown): { code: string | undefined, message: string } {
  const { code, message = String(error) } = error as { code?: unknown, message?: string }
  return { code: typeof code === 'string' ? code : undefined, message: message.slice(0, messageLengthMax) }
}

/** Serializers that remove the query from every logged URL. */
export const querylessSerializers = {
  path: withoutQuery,
  url: withoutQuery,
  originalUrl: withoutQuery,
  req: requestOf,
  request: requestOf,
  err: (error: unknown) => errorOf(error),
  error: (error: unknown) => errorOf(error)
}
