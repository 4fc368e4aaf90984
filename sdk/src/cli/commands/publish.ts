import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { text as readAll } from 'node:stream/consumers'
import { unwrap, type AdminClient, type components } from '../../admin/index.ts'
import { commonHelp, commonOptions, expectAtMost, fileError, parseJson, text, UsageError, type Command } from '../command.ts'
import { adminOf, settings } from '../settings.ts'
import { note, print } from '../terminal.ts'

type Publishable = components['schemas']['EventPublish']

export const publish: Command = {
  summary: 'Publish an event, or many',
  usage: '<topic> [<payload> | - | @<file>] [options]',
  options: {
    ...commonOptions, key: { type: 'string' }, 'idempotency-key': { type: 'string' }, ndjson: { type: 'boolean' }
  },
  help: `  <payload>             JSON, such as '{"total":42}'. "-" reads standard input,
                        which is the default of a pipe
  @<file>               Read the payload from a file
  --key <key>           The ordering key of the events
  --idempotency-key <k> A repetition with the same key within a day stores nothing
  --ndjson              Each line of the input is the payload of one event
${commonHelp}

Prints the offset of each stored event. With --ndjson, it stores batches of up
to 500 events, each as a whole, and stops at the first refusal.`,

  async run (values, positionals) {
    const [topic, given = process.stdin.isTTY ? undefined : '-'] = positionals
    if (topic === undefined) {
      throw new UsageError('The topic is missing. Example: realtime-platform publish order.placed \'{"total":42}\'')
    }
    expectAtMost(positionals, 2)
    if (given === undefined) {
      throw new UsageError('The payload is missing. Pass JSON, "-" for standard input, or @<file>')
    }
    const key = text(values['key'])
    const idempotencyKey = text(values['idempotency-key']) ?? crypto.randomUUID()
    const send = sender(adminOf(await settings(values)), topic)
    if (values['ndjson'] === true) {
      if (given !== '-' && !given.startsWith('@')) throw new UsageError('--ndjson reads "-" or @<file>')
      return await publishLines(given, key, async (events, batch) => send({ events }, `${idempotencyKey}-${batch}`))
    }
    const payload = parseJson(await read(given), 'The payload')
    await send({ payload, ...(key !== undefined && { key }) }, idempotencyKey)
  }
}

type Send = (body: Publishable | { events: Publishable[] }, idempotencyKey: string) => Promise<void>

const sender = (admin: AdminClient, topic: string): Send => async (body, idempotencyKey) => {
  const { offset, count } = await unwrap(admin.POST('/api/topics/{name}/events', {
    params: { path: { name: topic }, header: { 'idempotency-key': idempotencyKey } },
    headers: { prefer: 'return=minimal' }, body
  })) as { offset: number, count: number }
  await print(Array.from({ length: count }, (_, i) => `${topic} #${offset + i}`).join('\n'))
}

const batchMax = 500
const batchCharactersMax = 512 * 1024

async function publishLines (
  given: string, key: string | undefined, send: (events: Publishable[], batch: number) => Promise<void>
): Promise<void> {
  const input = given === '-' ? process.stdin : createReadStream(given.slice(1))
  let lineNumber = 0
  let lastLine = 0
  let stored = 0
  let storedLine = 0
  let batch: Publishable[] = []
  let length = 0
  let batches = 0
  const flush = async () => {
    if (batch.length === 0) return
    await send(batch, ++batches)
    stored += batch.length
    storedLine = lastLine
    batch = []
    length = 0
  }
  try {
    // A stream that fails ends the lines without an error.
    const failed = new Promise<never>((_resolve, reject) => input.once('error', reject))
    failed.catch(() => {})
    const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]()
    for (;;) {
      const { value: line, done } = await Promise.race([lines.next(), failed])
      if (done === true) break
      lineNumber++
      if (line.trim() === '') continue
      if (length + line.length > batchCharactersMax || batch.length >= batchMax) await flush()
      batch.push({ payload: parseJson(line, `Line ${lineNumber}`), ...(key !== undefined && { key }) })
      length += line.length
      lastLine = lineNumber
    }
    await flush()
  } catch (error) {
    note(stored === 0 ? 'No event was stored.' : `${stored} events were stored, up to line ${storedLine}.`)
    throw isFileError(error) ? fileError(given.slice(1), error) : error
  }
}

async function read (given: string): Promise<string> {
  if (given === '-') return await readAll(process.stdin)
  if (!given.startsWith('@')) return given
  const path = given.slice(1)
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => { throw fileError(path, error) })
}

const isFileError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error
