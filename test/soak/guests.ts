import { answerCalls } from '../../bench/children.ts'
import { transports, type Client } from '../support/clients.ts'
import { pace } from '../support/waiting.ts'

/*
 * Clients that connect and disconnect: each resumes the topic where it left, joins a channel, sends a message, and is
 * cut off or closes. Over all visits, each must receive every offset once.
 */

export interface Visit { url: string, token: string, topic: string, channel: string }

interface Guest { transport: (typeof transports)[number], offset: number, epoch: string | undefined, events: number }

const over = new AbortController()
let visits = 0
const faults: string[] = []
let running: Promise<unknown> = Promise.resolve()

function come (count: number, visit: Visit): void {
  running = Promise.all(Array.from({ length: count }, async (_, i) => {
    const guest: Guest = {
      transport: transports[i % transports.length] as Guest['transport'], offset: -1, epoch: undefined, events: 0
    }
    while (!over.signal.aborted) {
      await stay(guest, visit).catch((error: Error) => {
        faults.push(error.message)
      })
    }
  }))
}

async function stay (guest: Guest, { url, token, topic, channel }: Visit): Promise<void> {
  const client = await guest.transport.connect(url, { token })
  visits++
  try {
    const after = guest.offset < 0 ? {} : { after: guest.offset, epoch: guest.epoch }
    const answer = await client.request('subscribe', { topic, ...after })
    if (guest.offset >= 0 && !answer.recovered) faults.push(`not recovered after ${guest.offset}`)
    if (guest.offset < 0) guest.offset = answer.offset
    guest.epoch = answer.epoch
    await client.request('join', { channel, state: { visits } })
    await client.request('publish', { channel, event: 'said', data: { visits } })
    await pace(500 + Math.random() * 4000)
    follow(guest, client)
  } finally {
    if (Math.random() < 0.5) client.cut()
    else client.close()
    await client.closed
  }
}

function follow (guest: Guest, client: Client): void {
  for (const { offset, meta } of client.events) {
    // Replayed events do not move the position.
    if (meta?.['replayOf'] !== undefined) continue
    if (offset !== guest.offset + 1) faults.push(`offset ${offset} after ${guest.offset}`)
    guest.offset = offset
    guest.events++
  }
}

/** Ends the visits, and returns their number and the errors. */
async function leave (): Promise<{ visits: number, faults: string[] }> {
  over.abort()
  await running
  return { visits, faults: faults.slice(0, 5) }
}

const methods = { come, leave }
export type Guests = typeof methods
answerCalls(methods)
