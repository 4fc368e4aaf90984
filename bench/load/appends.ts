import { answerCalls } from '../children.ts'
import { RawWebSocket } from './raw-web-socket.ts'

/* Publishes single events over open WebSockets, as fast as they are acknowledged. */

export interface AppendTarget { url: string, token: string, topic: string, payload: unknown, connections: number }

let sockets: { append: () => Promise<void> }[] = []
let fault: Error | undefined

async function open ({ url, token, topic, payload }: AppendTarget): Promise<{ append: () => Promise<void> }> {
  const frame = JSON.stringify({ type: 'append', id: 1, topic, payload })
  let answered: () => void = () => {}
  const fail = (message: string) => {
    fault ??= new Error(message)
    answered()
  }
  const next = () => new Promise<void>(resolve => { answered = resolve })
  let expected = '{"type":"authenticated"'
  const greeted = next()
  const socket = new RawWebSocket(url, '/ws', {
    headers: { authorization: `Bearer ${token}` },
    onText (chunk, start, end) {
      const text = chunk.toString('latin1', start, Math.min(end, start + expected.length))
      if (text === expected) answered()
      else fail(`instead of ${expected}: ${chunk.toString('utf8', start, end)}`)
    },
    onClose: fail
  })
  await greeted
  expected = '{"type":"appended"'
  return {
    async append () {
      const answer = next()
      socket.send(frame)
      await answer
      if (fault !== undefined) throw fault
    }
  }
}

async function aim (target: AppendTarget): Promise<void> {
  sockets = await Promise.all(Array.from({ length: target.connections }, () => open(target)))
  if (fault !== undefined) throw fault
}

/** Each connection sends the next event when it has the answer to the last one. */
async function round (seconds: number): Promise<{ appends: number, seconds: number }> {
  const start = performance.now()
  const end = start + seconds * 1000
  let appends = 0
  await Promise.all(sockets.map(async socket => {
    while (performance.now() < end) {
      await socket.append()
      appends++
    }
  }))
  return { appends, seconds: (performance.now() - start) / 1000 }
}

const methods = { aim, round }
export type AppendsLoad = typeof methods
answerCalls(methods)
