import { once } from 'node:events'
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Teardown } from './teardown.ts'

export interface ProxyBehaviour {
  /** Answers a request itself and returns true, or returns false to pass it on. */
  answer?: (request: ProxiedRequest, response: ServerResponse) => boolean
  /** Receives the response of the server, and may lose it: the request has been carried out. */
  losesAnswer?: (request: ProxiedRequest) => boolean
  /** Changes the headers of the server's responses. */
  changeHeaders?: (headers: IncomingMessage['headers'], request: ProxiedRequest) => void
  /** Whether an upgrade to WebSocket passes. Default: true. Otherwise the request is passed on without the upgrade. */
  passesUpgrade?: (request: ProxiedRequest) => boolean
}

export interface ProxiedRequest { method: string, url: string, headers: IncomingMessage['headers'], body: string }

/** Starts a real reverse proxy in front of a server. It records the requests, and can spoil them. */
export async function startHttpProxy (t: Teardown, target: string, behaviour: ProxyBehaviour = {}) {
  const { hostname, port } = new URL(target)
  const requests: ProxiedRequest[] = []
  let behave = behaviour

  const record = ({ method = '', url = '', headers }: IncomingMessage, body = ''): ProxiedRequest => {
    const recorded = { method, url, headers, body }
    requests.push(recorded)
    return recorded
  }

  function forward (incoming: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const recorded = record(incoming, body.toString())
      if (behave.answer?.(recorded, response) === true) return
      const { method, url: path, headers: { connection: _connection, upgrade: _upgrade, ...headers } } = incoming
      const upstream = send({ hostname, port, method, path, headers }, answer => {
        if (behave.losesAnswer?.(recorded) === true) {
          answer.resume().on('end', () => response.destroy())
          return
        }
        behave.changeHeaders?.(answer.headers, recorded)
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      upstream.on('error', () => response.destroy())
      response.on('close', () => upstream.destroy())
      upstream.end(body)
    })
    incoming.on('error', () => {})
  }

  const upgraded = new Set<Duplex>()
  const server = createServer(forward)
  server.on('upgrade', (incoming, socket, head) => {
    socket.on('error', () => {})
    upgraded.add(socket)
    socket.on('close', () => upgraded.delete(socket))
    const recorded = record(incoming)
    const passes = behave.passesUpgrade?.(recorded) ?? true
    const upstream = connect(Number(port), hostname, () => {
      const headers = Object.entries(incoming.headers)
        .filter(([name]) => passes || !['connection', 'upgrade'].includes(name))
        .map(([name, value]) => `${name}: ${String(value)}\r\n`).join('')
      const close = passes ? '' : 'connection: close\r\n'
      upstream.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${headers}${close}\r\n`)
      upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    upstream.on('close', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    for (const socket of upgraded) socket.destroy()
    server.close()
  })
  return {
    /** Breaks all open connections. */
    cut (): void {
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    behave (behaviour: ProxyBehaviour): void { behave = behaviour }
  }
}
