import { STATUS_CODES, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import proxyAddr from '@fastify/proxy-addr'
import fp from 'fastify-plugin'
import { networkOf } from '../src/identity/auth/network.ts'
import { Quota } from '../src/foundation/limits/quota.ts'
import { RateLimitError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    clientLinks: {
      /**
       * Returns the client address of a request that has not passed through Fastify, as reported by trusted proxies.
       */
      addressOf (request: IncomingMessage): string
      /** Throws RateLimitError `CONNECTION_LIMIT` if the address has reached its limit of sockets. */
      requireRoom (address: string): void
      /** Counts an open socket of the address. Call `closed` when it has gone. */
      opened (address: string): void
      closed (address: string): void
      /** Destroys every TCP connection at once. */
      cutAll (): void
    }
  }
}

const retryAfterS = 5

/**
 * Limits the connections of one client address with this node: its TCP connections and its sockets. Behind a trusted
 * proxy only the sockets count, by the address that the proxy reports, because the TCP connections are the proxy's.
 */
export default fp(async (app) => {
  const { connectionsPerAddressMax: max, trustProxy } = app.config.http
  const isTrusted = proxyAddr.compile(trustProxy)
  const [tcp, links] = [new Quota(() => max), new Quota(() => max)]
  const refusal = () => {
    app.instruments.connectionsRefused.inc({ limit: 'address' })
    return new RateLimitError('CONNECTION_LIMIT', `The address has reached its limit of ${max} open connections`, {
      retryAfterS,
      retryAfterMs: retryAfterS * 1000
    })
  }

  /** Open TCP connections, with the address that they count for; undefined for those of a trusted proxy. */
  const open = new Map<Socket, string | undefined>()
  // One function for all sockets, because a closure for each would cost a good part of a silent socket's memory.
  function forget (this: Socket) {
    const owner = open.get(this)
    open.delete(this)
    if (owner !== undefined) tcp.release(owner)
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
    closed: address => links.release(networkOf(address)),
    cutAll () { for (const socket of open.keys()) socket.destroy() }
  })
}, { name: 'connection-limits', dependencies: ['config', 'metrics'] })

/** Refuses a connection before any HTTP is read, so that it costs nothing more. */
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
