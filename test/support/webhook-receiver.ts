import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RealtimeEvent } from '../../schemas/events.ts'
import type { Teardown } from './teardown.ts'
import { until } from './waiting.ts'

/* A real endpoint on loopback with configurable behaviour. */

export interface ReceivedWebhook {
  id: string
  body: { type: string, timestamp: string, data: RealtimeEvent }
  text: string
  headers: Record<string, string>
  path: string
  at: number
}

export type Behaviour = (received: ReceivedWebhook, response: ServerResponse, request: IncomingMessage) => void

export const answer =
  (status: number, headers: Record<string, string> = {}, body = ''): Behaviour => (_received, response) => {
    response.writeHead(status, headers).end(body)
  }

export async function receiver (t: Teardown, behaviour: Behaviour = answer(200)) {
  const received: ReceivedWebhook[] = []
  let behave = behaviour
  let waiting: (() => void)[] = []
  let connections = 0
  let open = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const one: ReceivedWebhook = {
        id: String(request.headers['webhook-id']), body: JSON.parse(text) as ReceivedWebhook['body'], text,
        headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
        path: request.url ?? '', at: Date.now()
      }
      received.push(one)
      behave(one, response, request)
      for (const wake of waiting.splice(0)) wake()
    })
    request.on('error', () => {})
  })
  server.on('connection', socket => {
    connections++
    open++
    socket.once('close', () => {
      open--
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
    waiting = []
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    received,
    get connections () {
      return connections
    },
    get openConnections () {
      return open
    },
    behave (behaviour: Behaviour) {
      behave = behaviour
    },
    /** Resolves when that many requests have arrived. */
    async until (isEnough: (received: ReceivedWebhook[]) => boolean, what: string, timeoutMs = 60_000): Promise<void> {
      const deadline = setTimeout(() => {
        for (const wake of waiting.splice(0)) wake()
      }, timeoutMs)
      const end = performance.now() + timeoutMs
      while (!isEnough(received)) {
        if (performance.now() >= end) throw new Error(`timed out waiting for ${what}; ${received.length} requests came`)
        await new Promise<void>(resolve => waiting.push(resolve))
      }
      clearTimeout(deadline)
    },
    async came (count: number, timeoutMs?: number): Promise<ReceivedWebhook[]> {
      await this.until(all => all.length >= count, `${count} requests`, timeoutMs)
      return received
    }
  }
}
export type Receiver = Awaited<ReturnType<typeof receiver>>

/** Resolves when an application has that many deliveries and each is delivered or dead. */
export async function allSettled (
  app: FastifyInstance, { applicationId }: { applicationId: string }, count: number
): Promise<void> {
  let state = ''
  await until(
    async () => {
      const { rows: [found] } = await app.pool.query<{ outbox: number, owed: number, pending: number }>({
        name: 'test_settled',
        text:
          `select (select count(*) from webhook_outbox o join webhooks w on w.id = o.webhook_id
            and w.application_id = $1) as outbox,
        count(*) as owed, count(*) filter (where state = 'pending') as pending from webhook_deliveries
          where application_id = $1`,
        values: [applicationId]
      })
      state = JSON.stringify(found)
      return found?.outbox === 0 && found.owed === count && found.pending === 0
    },
    () => `${count} deliveries to settle: ${state}`,
    90_000
  )
}
