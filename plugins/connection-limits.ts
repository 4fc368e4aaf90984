import { STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import proxyAddr from '@fastify/proxy-addr'
import fp from 'fastify-plugin'
import { networkOf } from '../src/identity/auth/network.ts'
import { Seats } from '../src/foundation/limits/quota.ts'
import { RateLimitError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    clientLinks: {
      /** Where a request that Fastify has not seen comes from, by proxies that are trusted. */
      addressOf (request: IncomingMessage): string
      /** Throws RateLimitError `CONNECTION_LIMIT` when the address has as many sockets as it may. */
      requireRoom (address: string): void
      /** A socket of that address is open; `closed` is called when it is gone. */
      opened (address: string): void
      closed (address: string): void
      /** Ends every TCP connection, now. */
      cutAll (): void
    }
  }
}

const retryAfterS = 5

/**
 * How many connections an address may have with this node: TCP connections, whatever they carry, and, since by a proxy
 * that is trusted all of them come from the proxy, sockets by the address of their client.
 */
export default fp(async (app) => {
  const { connectionsPerAddressMax: max, trustProxy } = app.config.http
  const isTrusted = proxyAddr.compile(trustProxy)
  const [tcp, links] = [new Seats(() => max), new Seats(() => max)]
  const refusal = () => {
    app.instruments.connectionsRefused.inc({ limit: 'address' })
    return new RateLimitError('CONNECTION_LIMIT', `The address has ${max} connections open, as many as it may`, {
      retryAfterS,
      retryAfterMs: retryAfterS * 1000
    })
  }

  /** TCP connections that are open, with whose they are where that is limited. */
  const open = new Map<Socket, string | undefined>()
  // The same function for all sockets, and the only listener of ours: each more is a good part of what a silent one
  // costs.
  function forget (this: Socket) {
    const owner = open.get(this)
    open.delete(this)
    if (owner !== undefined) tcp.leave(owner)
  }
  const admit = (socket: Socket) => {
    const { remoteAddress: address } = socket
    const owner = address === undefined || isTrusted(address, 0) ? undefined : networkOf(address)
    if (owner !== undefined && !tcp.isFree(owner)) return refuse(socket, refusal())
    if (owner !== undefined) tcp.take(owner)
    open.set(socket, owner)
    socket.on('close', forget)
  }
  app.server.prependListener('connection', admit)
  app.addHook('onClose', async () => { app.server.off('connection', admit) })

  app.decorate('clientLinks', {
    addressOf: request => proxyAddr(request, isTrusted),
    requireRoom (address) {
      if (!links.isFree(networkOf(address))) throw refusal()
    },
    opened: address => links.take(networkOf(address)),
    closed: address => links.leave(networkOf(address)),
    cutAll () { for (const socket of open.keys()) socket.destroy() }
  })
}, { name: 'connection-limits', dependencies: ['config', 'metrics'] })

/** Before a byte of HTTP was read, so that the connection costs nothing more. */
function refuse (socket: Socket, error: RateLimitError): void {
  const body = JSON.stringify(error.toBody())
  socket.on('error', () => {})
  socket.end([
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Retry-After: ${error.retryAfterS}`,
    'Connection: close',
    '',
    body
  ].join('\r\n'))
  socket.destroySoon()
}
