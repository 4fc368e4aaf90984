import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerCalls } from '../children.ts'

/*
 * The webhook receiver of both sides. It reads the body and returns 200; below `/dead` it returns 500, and below
 * `/hanging` it never responds.
 */

let came = 0
let sample = ''
let wanted: { count: number, resolve: () => void } | undefined
/** Times from the write of an event to its arrival, of requests below `/timed`. */
let latencies: number[] = []
const hanging = new Set<ServerResponse>()

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const path = request.url ?? ''
    if (path.startsWith('/hanging')) return hanging.add(response)
    if (path.startsWith('/dead')) return response.writeHead(500).end()
    if (path.startsWith('/timed')) {
      const event = JSON.parse(Buffer.concat(chunks).toString()) as { data: { payload: { sentAt: number } } }
      latencies.push(Date.now() - event.data.payload.sentAt)
    }
    if (sample === '') sample = Buffer.concat(chunks).toString()
    came++
    response.end()
    if (wanted !== undefined && came >= wanted.count) wanted.resolve()
  })
})

async function start (): Promise<{ url: string }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Resets the counters. */
function reset (): void {
  came = 0
  latencies = []
}

/** Resolves when `count` requests have arrived since the reset. */
async function until (count: number): Promise<void> {
  if (came < count) await new Promise<void>(resolve => { wanted = { count, resolve } })
  wanted = undefined
}

const methods = { start, reset, until, body: () => sample, latencies: () => latencies }
export type WebhookSink = typeof methods
answerCalls(methods, () => { server.closeAllConnections() })
