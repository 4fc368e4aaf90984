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
