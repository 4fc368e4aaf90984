import { encodeRequest, HttpConnection } from '../../load/http-connection.ts'
import { RawWebSocket } from '../../load/raw-web-socket.ts'
import { payload, type PublishDriver } from './driver.ts'

export interface PlatformAddress { url: string, token: string, topic: string }

const connectionsMax = 50
/** A connection may make 100 requests a second. */
const socketsMax = 200

/** Publishes by REST, with one request at a time on each connection. */
export async function openRest (
  { url, token, topic }: PlatformAddress, headers: Record<string, string> = {}
): Promise<PublishDriver> {
  const idle = await Promise.all(Array.from({ length: connectionsMax }, () => HttpConnection.open(url)))
  const bodies = new Map<number, Buffer>()
  const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const requestOf = (count: number) => {
    const body = count === 1 ? { payload } : { events: Array.from({ length: count }, () => ({ payload })) }
    const bytes = encodeRequest(url, 'POST', `/api/topics/${topic}/events`, { token, body: JSON.stringify(body) })
    return Buffer.from(bytes.toString().replace('\r\n', `\r\n${extra}`))
  }
  return {
    async publish (count) {
      const bytes = bodies.get(count) ?? requestOf(count)
      bodies.set(count, bytes)
      const found = idle.pop()
      const connection = found?.isOpen === true ? found : await HttpConnection.open(url)
      const { status, body } = await connection.request(bytes)
      idle.push(connection)
      if (status !== 201) throw new Error(`publish answered ${status} ${body.toString().slice(0, 300)}`)
    },
    // The log of a topic is gapless and cannot be cleared: the contest counts it at the end.
    clear: async () => NaN,
    async close () { for (const connection of idle) connection.close() }
  }
}

/** Publishes by `append` over open WebSockets, which take turns. */
export async function openAppend ({ url, token, topic }: PlatformAddress): Promise<PublishDriver> {
  const waiting = new Map<number, { resolve (): void, reject (error: Error): void }>()
  let lastId = 0
  let ready = 0
  const text = JSON.stringify(payload)
  const event = `{"payload":${text}}`
  const fields = new Map<number, string>([[1, `"payload":${text}`]])
  const sockets = await new Promise<RawWebSocket[]>((resolve, reject) => {
    const opened = Array.from({ length: socketsMax }, () => new RawWebSocket(url, '/ws', {
      headers: { authorization: `Bearer ${token}` },
      onText: (chunk, start, end) => {
        const answer = chunk.toString('latin1', start, end)
        if (answer.startsWith('{"type":"authenticated"')) {
          if (++ready === socketsMax) resolve(opened)
          return
        }
        const id = Number(/"id":(\d+)\}$/.exec(answer)?.[1])
        const waiter = waiting.get(id)
        waiting.delete(id)
        if (answer.startsWith('{"type":"appended"')) waiter?.resolve()
        else waiter?.reject(new Error(answer))
      },
      onClose: reason => {
        reject(new Error(reason))
        for (const waiter of waiting.values()) waiter.reject(new Error(reason))
      }
    }))
  })
  return {
    publish: count => new Promise((resolve, reject) => {
      const id = ++lastId
      waiting.set(id, { resolve, reject })
      const events = fields.get(count) ?? `"events":[${Array.from({ length: count }, () => event).join(',')}]`
      fields.set(count, events)
      sockets[id % socketsMax]?.send(`{"type":"append","topic":"${topic}",${events},"id":${id}}`)
    }),
    clear: async () => NaN,
    async close () { for (const socket of sockets) socket.close() }
  }
}
