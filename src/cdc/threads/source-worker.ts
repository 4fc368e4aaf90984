import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { openSource, setWireLimits, type SourceClient } from '../source/source.ts'
import { Calls, type Frame } from './calls.ts'
import type { MainMethods, ThreadMethods, ThreadSettings } from './methods.ts'
import { requireBounded } from './result-size.ts'
import { ThreadStream } from './thread-stream.ts'

// The entry point of a thread that talks to tenants' servers: a server that crashes it ends only this thread.

const port = parentPort as MessagePort
setWireLimits((workerData as ThreadSettings).limits)

const sessions = new Map<number, SourceClient>()
const streams = new Map<number, ThreadStream>()
let lastId = 0

const methods: ThreadMethods = {
  async open (connectionString, options) {
    const session = await openSource(connectionString, options)
    sessions.set(++lastId, session)
    return lastId
  },
  async query (id, text, values) {
    const { rows, rowCount } = await sessionOf(id).query(text, values)
    requireBounded(rows)
    return { rows, rowCount }
  },
  async close (id) {
    const session = sessions.get(id)
    sessions.delete(id)
    await session?.close()
  },
  async startStream (id, session, connectionString, settings) {
    const stream = new ThreadStream({ id, client: sessionOf(session), connectionString, settings, main })
    streams.set(id, stream)
    await stream.start()
  },
  runStream (id) { streams.get(id)?.run() },
  acknowledge (id, lsn, isPing) { streams.get(id)?.acknowledge(lsn, isPing) },
  async stopStream (id) {
    const stream = streams.get(id)
    streams.delete(id)
    await stream?.stop()
  }
}
const main = new Calls<MainMethods>(port, methods)

port.on('message', (frame: Frame | 'ping') => {
  if (frame === 'ping') port.postMessage(bytesInUse())
  else main.receive(frame)
})
port.postMessage('ready')

/** Returns the memory of this thread: its heap, and buffers outside it. */
function bytesInUse (): number {
  const { heapTotal, external } = process.memoryUsage()
  return heapTotal + external
}

function sessionOf (id: number): SourceClient {
  const session = sessions.get(id)
  if (session === undefined) throw new Error('the session is closed')
  return session
}
