import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Teardown } from './teardown.ts'

/**
 * - `open`: passes data on.
 * - `stalled`: keeps connections and accepts new ones, but passes nothing on, as a network does that drops packets.
 * - `mute`: passes requests on and drops the answers, so that their outcome stays unknown.
 * - `refusing`: closes new connections at once.
 */
export type ProxyMode = 'open' | 'stalled' | 'mute' | 'refusing'

/**
 * A TCP proxy in front of one server or several nodes, which breaks connections in the ways that networks do. Each
 * connection goes to the next target that accepts it. Its own address stays the same.
 */
export class FaultyNetwork {
  readonly url: string
  /** The ports to connect to. A change applies to new connections. */
  targets: readonly number[]
  readonly #pairs = new Set<{ client: Socket, upstream: Socket | undefined }>()
  #mode: ProxyMode = 'open'
  #turn = 0

  constructor (server: Server, targets: readonly number[]) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    this.targets = targets
    server.on('connection', client => this.#accept(client))
  }

  get connections (): number { return this.#pairs.size }

  get mode (): ProxyMode { return this.#mode }
  /** Leaving `mute` cuts its connections: a stream with a hole is of no use. */
  set mode (mode: ProxyMode) {
    if (this.#mode === 'mute') this.cut()
    this.#mode = mode
    for (const { client, upstream } of this.#pairs) {
      // Without a target, nobody listens to the client: its first bytes would be lost.
      if (upstream === undefined) continue
      for (const socket of [client, upstream]) mode === 'stalled' ? socket.pause() : socket.resume()
    }
  }

  /** Breaks all connections with a reset. */
  cut (): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy()
      upstream?.resetAndDestroy()
    }
  }

  #accept (client: Socket): void {
    client.on('error', () => {})
    if (this.#mode === 'refusing') {
      client.resetAndDestroy()
      return
    }
    const pair: { client: Socket, upstream: Socket | undefined } = { client, upstream: undefined }
    this.#pairs.add(pair)
    client.once('close', () => {
      this.#pairs.delete(pair)
      pair.upstream?.destroy()
    })
    this.#forward(pair, this.targets.length)
  }

  #forward (pair: { client: Socket, upstream: Socket | undefined }, triesLeft: number): void {
    const { client } = pair
    if (triesLeft === 0) client.destroy()
    if (client.destroyed) return
    const upstream = connect(this.targets[this.#turn++ % this.targets.length] as number, '127.0.0.1')
    const tryNext = () => this.#forward(pair, triesLeft - 1)
    upstream.once('error', tryNext)
    upstream.once('connect', () => {
      upstream.off('error', tryNext)
      upstream.on('error', () => {})
      if (client.destroyed) upstream.destroy()
      pair.upstream = upstream
      client.on('data', data => upstream.write(data))
      upstream.on('data', data => { if (this.#mode !== 'mute') client.write(data) })
      upstream.once('close', () => client.destroy())
      if (this.#mode === 'stalled') for (const socket of [client, upstream]) socket.pause()
    })
  }
}

/** Starts a proxy in front of the ports. */
export async function startFaultyNetwork (t: Teardown, targets: readonly number[]): Promise<FaultyNetwork> {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = new FaultyNetwork(server, targets)
  t.teardown(() => {
    proxy.cut()
    server.close()
  })
  return proxy
}
