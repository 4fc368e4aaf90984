import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Exchange } from '../../src/cluster/ipc/exchange.ts'
import { ParentLink } from '../../src/cluster/ipc/parent-link.ts'
import type { WorkerContext } from '../../src/cluster/ipc/worker-context.ts'
import type { Teardown } from './teardown.ts'

/** The exchange of a parent process, in this process, with links to it as workers have them. */
export interface TestExchange {
  exchange: Exchange
  /** Messages that workers did not read in time. */
  readonly dropped: number
  connect (): Promise<TestLink>
}

export interface TestLink {
  parent: ParentLink
  context: WorkerContext
  /** The worker's end of the link. */
  socket: Socket
  /** Ends as a killed process does. */
  kill (): void
}

export async function startExchange (t: Teardown): Promise<TestExchange> {
  let dropped = 0
  let last = 0
  const exchange = new Exchange({ onDropped: () => { dropped++ } })
  const folder = await mkdtemp(join(tmpdir(), 'exchange-'))
  const path = join(folder, 'socket')
  const open = new Set<Socket>()
  const passed = new Map<string, (read: Buffer, socket: Socket) => void>()
  const server = createServer(socket => {
    open.add(socket)
    const name = String(++last)
    exchange.connect(name, socket, { name: () => name, parentMetrics: () => '' })
  })
  server.listen(path)
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await rm(folder, { recursive: true, force: true })
  })
  return {
    exchange,
    get dropped () { return dropped },
    async connect () {
      const socket = connect(path)
      open.add(socket)
      const parent = new ParentLink(socket)
      const name = await parent.ask('name', '', 60_000) ?? ''
      const context: WorkerContext = {
        name,
        parent,
        folder,
        passOn (worker, read, socket) {
          const listener = passed.get(worker)
          if (listener === undefined) socket.destroy()
          else listener(read, socket)
        },
        onPassed: listener => { passed.set(name, listener) }
      }
      return { parent, context, socket, kill: () => socket.destroy() }
    }
  }
}
