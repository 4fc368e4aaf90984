import { RealtimeClient } from '../../client.ts'
import type { Filter, RealtimeEvent } from '../../protocol/protocol.ts'
import {
  commonHelp, commonOptions, expectAtMost, parseJson, text, UsageError, wholeNumber, type Command
} from '../command.ts'
import { settings } from '../settings.ts'
import { note, print, printable, styled } from '../terminal.ts'

export const tail: Command = {
  summary: 'Print the events of a topic or a pattern as they happen',
  usage: '<topic or pattern> [options]',
  options: {
    ...commonOptions, filter: { type: 'string' }, after: { type: 'string' }, since: { type: 'string' },
    rewind: { type: 'string' }, count: { type: 'string', short: 'n' }, json: { type: 'boolean' }
  },
  help: `  <topic or pattern>    Such as order.placed, or 'order.*' (quote it)
  --filter <json>       Only events whose payload matches, such as '{"status":"paid"}'
  --after <offset>      Begin after this offset of the topic; 0 is the first event
  --since <time>        Begin at a time: 30s, 10m, 2h, 7d ago, or an ISO date
  --rewind <number>     Begin with up to this many of the latest events
  -n, --count <number>  End after this many events
  --json                Print each event as one line of JSON
${commonHelp}

Resumes after a lost connection where it was. A hole that cannot be filled is
reported on standard error. End it with Ctrl+C.`,

  async run (values, positionals) {
    const [topic] = positionals
    if (topic === undefined) throw new UsageError('The topic is missing. Example: realtime-platform tail order.placed')
    expectAtMost(positionals, 1)
    const filter = text(values['filter'])
    const since = text(values['since'])
    const after = wholeNumber(values, 'after', 0)
    const rewind = wholeNumber(values, 'rewind', 1)
    const count = wholeNumber(values, 'count', 1) ?? Infinity
    if ([since, after, rewind].filter(start => start !== undefined).length > 1) {
      throw new UsageError('Use one of --after, --since and --rewind')
    }
    if (after !== undefined && topic.includes('*')) {
      throw new UsageError('--after is the offset of one topic. With a pattern, use --since or --rewind')
    }
    const options = {
      ...(filter !== undefined && { filter: parseJson(filter, '--filter') as Filter }),
      ...(since !== undefined && { since: timeOf(since) }),
      ...(after !== undefined && { after }),
      ...(rewind !== undefined && { rewind })
    }
    const client = new RealtimeClient({ ...await settings(values), autoConnect: false })
    const refused = reportConnection(client)
    let left = count
    const show = values['json'] === true ? toJson : line
    const subscription = client.topic(topic).subscribe(event => {
      if (left-- <= 0) return
      const written = print(show(event as RealtimeEvent))
      if (left <= 0) subscription.unsubscribe()
      return written
    }, {
      ...options,
      onGap: ({ topic, from, to, reason }) =>
        note(`Gap in ${topic}: offsets ${from} to ${to ?? 'an unknown one'} are missing (${reason})`),
      onError: () => {}
    })
    const end = () => subscription.unsubscribe()
    process.once('SIGINT', end).once('SIGTERM', end)
    try {
      client.connect().catch(() => {})
      await Promise.race([refused, subscription.closed])
    } finally {
      client.disconnect()
    }
  }
}

/** Reports lost connections on standard error. The promise rejects when the server refuses the client for good. */
function reportConnection (client: RealtimeClient): Promise<never> {
  return new Promise((_resolve, reject) => {
    client.on('error', () => {})
    let hasWarned = false
    client.on('connection', ({ state, error }) => {
      if (state === 'disconnected') reject(error ?? new Error('The client was disconnected'))
      else if (state === 'connected' && hasWarned) {
        hasWarned = false
        note('Connected again.')
      } else if (error !== undefined && !hasWarned) {
        hasWarned = true
        note(`Not connected, trying again: ${error.message}.`)
      }
    })
  })
}

/** The ids of subscriptions belong to the connection, not to the event. */
function toJson (event: RealtimeEvent): string {
  const { subscriptionIds: _, ...rest } = { subscriptionIds: undefined, ...event }
  return JSON.stringify(rest)
}

function line ({ timestamp, topic, offset, key, payload }: RealtimeEvent): string {
  const time = new Date(timestamp).toISOString().slice(11, 23)
  const shownKey = key === null ? '' : ` ${styled('yellow', `key=${printable(key)}`)}`
  return `${styled('dim', time)} ${styled('cyan', printable(topic))} #${offset}${shownKey} ` +
    printable(JSON.stringify(payload))
}

const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Returns a time in epoch milliseconds: `10m` is ten minutes ago. */
function timeOf (given: string): number {
  const [, amount, unit] = /^(\d+)([smhd])$/.exec(given) ?? []
  const time = unit === undefined ? Date.parse(given) : Date.now() - Number(amount) * (units[unit] ?? NaN)
  if (Number.isNaN(time)) throw new UsageError(`--since is 30s, 10m, 2h, 7d or an ISO date, not "${given}"`)
  return time
}
