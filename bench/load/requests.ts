import { answerCalls } from '../children.ts'
import { encodeRequest, HttpConnection } from './http-connection.ts'

export interface Target {
  url: string
  token?: string | undefined
  method: string
  /** Request bodies, used in turn. */
  paths: string[]
  body?: string
  connections: number
  /** The expected status. Any other ends the run. */
  status: number
  /** Text that every response must contain; checked in one of a hundred. */
  contains: string
}

export interface RequestsRound { requests: number, seconds: number }

let target: Target
let requests: Buffer[] = []
let connections: HttpConnection[] = []
let next = 0

async function aim (wanted: Target): Promise<void> {
  for (const connection of connections) connection.close()
  target = wanted
  requests = target.paths.map(path => encodeRequest(target.url, target.method, path, target))
  connections = await Promise.all(Array.from({ length: target.connections }, () => HttpConnection.open(target.url)))
}

/**
 * Sends as many requests as are answered within the time. Each connection sends the next one when it has a response.
 */
async function round (seconds: number): Promise<RequestsRound> {
  const start = performance.now()
  const end = start + seconds * 1000
  let count = 0
  await Promise.all(connections.map(async connection => {
    while (performance.now() < end) {
      const bytes = requests[next++ % requests.length] as Buffer
      const { status, body } = await connection.request(bytes)
      count++
      if (status !== target.status || (count % 100 === 0 && !body.includes(target.contains))) {
        throw new Error(`${target.method} ${target.url} answered ${status} ${body.toString().slice(0, 500)}`)
      }
    }
  }))
  return { requests: count, seconds: (performance.now() - start) / 1000 }
}

const methods = { aim, round }
export type RequestsLoad = typeof methods
answerCalls(methods)
