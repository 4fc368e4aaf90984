import { encodeRequest, HttpConnection } from '../../load/http-connection.ts'
import { payload, type PublishDriver } from './driver.ts'

const path = '/bench'
const connectionsMax = 50

/** Appends JSON to a stream of the durable-streams server. A batch is an array, whose elements it stores one by one. */
export async function openDurableStreams (url: string): Promise<PublishDriver> {
  const single = JSON.stringify(payload)
  const idle = await Promise.all(Array.from({ length: connectionsMax }, () => HttpConnection.open(url)))
  const send = async (bytes: Buffer) => {
    const found = idle.pop()
    const connection = found?.isOpen === true ? found : await HttpConnection.open(url)
    const { status, body } = await connection.request(bytes)
    idle.push(connection)
    if (status >= 300) throw new Error(`durable-streams answered ${status} ${body.toString().slice(0, 300)}`)
  }
  const post = (body: string) => encodeRequest(url, 'POST', path, { body })
  const create = async () => {
    const { status } = await fetch(`${url}${path}`, { method: 'PUT', headers: { 'content-type': 'application/json' } })
    if (status >= 300) throw new Error(`durable-streams answered ${status}`)
  }
  const bodies = new Map<number, Buffer>([[1, post(single)]])
  await create()
  return {
    async publish (count) {
      const bytes = bodies.get(count) ?? post(`[${Array.from({ length: count }, () => single).join(',')}]`)
      bodies.set(count, bytes)
      await send(bytes)
    },
    async clear () {
      const response = await fetch(`${url}${path}?offset=-1`)
      let stored = (await response.json() as unknown[]).length
      for (let next = response.headers.get('stream-next-offset'), isLast = false; !isLast;) {
        const page = await fetch(`${url}${path}?offset=${next}`)
        const events = await page.json() as unknown[]
        stored += events.length
        next = page.headers.get('stream-next-offset')
        isLast = events.length === 0
      }
      await fetch(`${url}${path}`, { method: 'DELETE' })
      await create()
      return stored
    },
    async close () { for (const connection of idle) connection.close() }
  }
}
