import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerCalls } from '../../children.ts'
import { ReceiptLedger } from '../ledger.ts'
import type { Losses } from '../results.ts'

/* The receiver of deliveries. Each has a signature and the number of its event. */

let ledger = new ReceiptLedger(0)
let offset = 0
let last = 0
let wanted: { distinct: number, resolve (): void } | undefined

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (request.headers['webhook-signature'] === undefined) return response.writeHead(400).end()
    const n = /"n":(\d+)/.exec(Buffer.concat(chunks).toString('latin1'))?.[1]
    // The first event of a webhook, which is not part of a round, has none.
    if (n === undefined) return response.end()
    ledger.receive(Number(n) - offset)
    last = Date.now()
    response.end()
    if (wanted !== undefined && ledger.distinct >= wanted.distinct) wanted.resolve()
  })
})

async function start (): Promise<{ url: string }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook` }
}

/** Expects the numbers `first` to `first + count - 1` from now on. */
function expect (first: number, count: number): void {
  offset = first - 1
  ledger = new ReceiptLedger(count)
}

/** Resolves when that many different events have arrived, or the time is over. */
async function until (distinct: number, timeoutMs: number): Promise<void> {
  if (ledger.distinct >= distinct) return
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, timeoutMs)
    wanted = { distinct, resolve: () => { clearTimeout(timer); resolve() } }
  })
  wanted = undefined
}

/** Returns what has arrived, and when the last delivery came. */
const totals = (): { losses: Losses, lastAt: number } => ({ losses: ledger.losses(), lastAt: last })

const methods = { start, expect, until, totals }
export type DeliverySink = typeof methods
answerCalls(methods, () => { server.closeAllConnections() })
