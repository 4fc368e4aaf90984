import { Writable } from 'node:stream'
import { pino, type Logger } from 'pino'

export interface LogLine { level: number, msg: string, [field: string]: unknown }

/** Returns a logger and its lines. */
export function readableLog (level = 'info'): { logger: Logger, lines: () => LogLine[], text: () => string } {
  let text = ''
  const logger = pino(
    { level },
    new Writable({
      write (chunk: Buffer, _encoding, done) {
        text += chunk.toString()
        done()
      }
    })
  )
  return {
    logger, text: () => text,
    lines: () => text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as LogLine)
  }
}
