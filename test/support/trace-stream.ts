import { request, type IncomingMessage } from 'node:http'
import type { Tenant } from './tenant.ts'

export interface Message {
  id: string
  event: string
  data: {
    eventId: string
    offset: number
    topic: string
    status: string
    matched: number
    events?: number
    reason?: string
    code?: number
  }
}

/** A client that reads messages as an EventSource does. */
export async function follow (
  url: string, shop: Tenant, query = '', headers: Record<string, string> = {}, token = shop.token()
) {
  const messages: Message[] = []
  let lastId = ''
  let text = ''
  let wake = () => {}
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(
      `${url}/api/debugger/stream${query}`,
      { headers: { authorization: `Bearer ${token}`, ...headers } },
      resolve
    ).on('error', reject).end()
  })
  response.setEncoding('utf8')
  const comments: string[] = []
  response.on('data', (part: string) => {
    text += part
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const fields = Object.fromEntries(
        text.slice(0, end).split('\n').map(
          line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]
        )
      )
      text = text.slice(end + 2)
      if (fields['id'] !== undefined) lastId = fields['id']
      if (fields[''] !== undefined) comments.push(fields[''])
      if (fields['data'] !== undefined) {
        messages.push({
          id: lastId, event: fields['event'] ?? 'message', data: JSON.parse(fields['data']) as Message['data']
        })
      }
    }
    wake()
  })
  const closed = new Promise<void>(resolve => response.on('close', () => { resolve(); wake() }))
  async function until (isDone: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + 60_000
    while (!isDone()) {
      if (Date.now() > deadline) {
        throw new Error(`timed out waiting for ${what}; ${JSON.stringify(messages).slice(0, 500)}`)
      }
      await new Promise<void>(resolve => {
        wake = resolve
        setTimeout(resolve, 500)
      })
    }
  }
  return {
    status: response.statusCode,
    headers: response.headers,
    messages,
    comments,
    closed,
    lastId: () => lastId,
    until,
    received: async (count: number) => {
      await until(() => messages.length >= count, `${count} messages`)
      return messages
    },
    close: () => response.destroy()
  }
}
