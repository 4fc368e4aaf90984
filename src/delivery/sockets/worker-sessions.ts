import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { WorkerContext } from '../../cluster/ipc/worker-context.ts'

/** Headers that belong to one connection (RFC 9110 §7.6.1). Node sets its own. */
const ofConnection = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'])

/** The part of Engine.IO's server that is replaced. */
export interface Engine {
  generateId (request: IncomingMessage): unknown
  handleRequest (request: IncomingMessage, response: ServerResponse): void
  handleUpgrade (request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/**
 * Brings each request of a Socket.IO session to the worker that has it, because a client's requests may arrive over
 * several connections. The id of a session begins with the name of its worker. Long polls are forwarded over that
 * worker's socket file. An upgrade moves its connection there, so that a WebSocket costs one worker only.
 */
export class WorkerSessions {
  readonly #worker: WorkerContext
  readonly #local: Server

  constructor (worker: WorkerContext, server: HttpServer) {
    this.#worker = worker
    this.#local = createServer(socket => server.emit('connection', socket))
    worker.onPassed((read, socket) => {
      socket.unshift(read)
      server.emit('connection', socket)
    })
  }

  /** Accepts the requests that other workers forward. */
  async start (): Promise<void> {
    const path = this.#pathOf(this.#worker.name)
    // A killed worker, whose place this one has, left its file.
    await rm(path, { force: true })
    // Shared with other workers otherwise.
    this.#local.listen({ path, exclusive: true })
    await once(this.#local, 'listening')
  }

  close (): void {
    this.#local.close()
  }

  /** Replaces Engine.IO's entry points. */
  route (engine: Engine): void {
    const [handleRequest, handleUpgrade] = [engine.handleRequest.bind(engine), engine.handleUpgrade.bind(engine)]
    engine.generateId = () => `${this.#worker.name}.${randomUUID()}`
    engine.handleRequest = (request, response) => {
      const owner = this.#ownerOf(request)
      if (owner === undefined) handleRequest(request, response)
      else this.#forward(owner, request, response, () => handleRequest(request, response))
    }
    engine.handleUpgrade = (request, socket, head) => {
      const owner = this.#ownerOf(request)
      if (owner === undefined) handleUpgrade(request, socket, head)
      else this.#worker.passOn(owner, Buffer.concat([headOf(request), head]), socket as Socket)
    }
  }

  /** Returns the other worker that has the session of the request, if it has one. */
  #ownerOf ({ url = '' }: IncomingMessage): string | undefined {
    const [, owner] = /[?&]sid=(\d{1,3})\./.exec(url) ?? []
    return owner === this.#worker.name ? undefined : owner
  }

  #pathOf (worker: string): string {
    return join(this.#worker.folder, worker)
  }

  /** `refuse` answers if the other worker has ended, and its sessions with it. */
  #forward (owner: string, request: IncomingMessage, response: ServerResponse, refuse: () => void): void {
    const { method, url, rawHeaders } = request
    const forwarded = httpRequest({
      socketPath: this.#pathOf(owner), path: url, method, headers: headersOf(rawHeaders), setHost: false, agent: false
    })
    forwarded.on('response', answer => {
      response.writeHead(answer.statusCode ?? 502, headersOf(answer.rawHeaders))
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    forwarded.on('error', () => {
      if (response.headersSent) response.destroy()
      else refuse()
    })
    response.on('close', () => forwarded.destroy())
    request.pipe(forwarded)
  }
}

/** Returns the headers of a message to forward, as names and values in turn. */
function headersOf (raw: readonly string[]): string[] {
  return raw.filter((_, i) => !ofConnection.has((raw[i - i % 2] ?? '').toLowerCase()))
}

/** Returns the request line and the headers as the client sent them. */
function headOf ({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}
