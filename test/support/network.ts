import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from './teardown.ts'

/**
 * - `pass`: data passes.
 * - `refuse`: new connections are closed at once.
 * - `swallow`: new connections are accepted and get no answer.
 * - `page`: each request of a new connection gets a page of HTML, as from a captive portal.
 */
export type NetworkMode = 'pass' | 'refuse' | 'swallow' | 'page'

const page = '<!doctype html><title>Sign in to the network</title>'
const pageAnswer = (status: string) =>
  `HTTP/1.1 ${status}\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\nconnection: close\r\n\r\n${page}`

export interface NetworkOptions {
  /** A path that is removed from requests, as by a reverse proxy with a prefix. */
  prefix?: string
}

/** The network between a client and a server, with its faults. */
export class Network {
  mode: NetworkMode = 'pass'
  /** The status line of `page`. */
  pageStatus = '200 OK'
  /** How many connections were made. */
  connections = 0
  /** The server may be replaced by another one. */
  target: URL
  #url = ''
  #isStalled = false
  readonly #prefix: string | undefined
  readonly #pairs = new Set<[Socket, Socket]>()

  constructor (target: string, { prefix }: NetworkOptions = {}) {
    this.target = new URL(target)
    this.#prefix = prefix
  }

  get url () { return this.#url }

  async open (t: Teardown): Promise<void> {
    const server = createServer(client => this.#accept(client))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    t.teardown(() => {
      this.cut()
      server.close()
    })
  }

  /** Cuts every connection, without a close. */
  cut (): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  /** Holds all data back, or lets it pass again. The connections stay open. */
  stall (isStalled: boolean): void {
    this.#isStalled = isStalled
    for (const pair of this.#pairs) for (const socket of pair) isStalled ? socket.pause() : socket.resume()
  }

  #accept (client: Socket): void {
    this.connections++
    client.on('error', () => {})
    if (this.mode === 'refuse') client.destroy()
    else if (this.mode === 'page') client.once('data', () => client.end(pageAnswer(this.pageStatus)))
    else this.#forward(client)
  }

  #forward (client: Socket): void {
    const upstream = this.mode === 'swallow' ? client : connect(Number(this.target.port), this.target.hostname)
    const pair: [Socket, Socket] = [client, upstream]
    this.#pairs.add(pair)
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.on('error', () => {})
      from.on('close', () => {
        this.#pairs.delete(pair)
        to.destroy()
      })
    }
    if (upstream === client) {
      client.resume()
      return
    }
    client.on('data', data => upstream.write(this.#rewritten(data)))
    upstream.on('data', data => client.write(data))
    if (this.#isStalled) for (const socket of pair) socket.pause()
  }

  #rewritten (data: Buffer): Buffer {
    return this.#prefix === undefined
      ? data
      : Buffer.from(data.toString('latin1').replaceAll(` ${this.#prefix}/`, ' /'), 'latin1')
  }
}

/** Opens a network before a server. Its `url` takes the place of the server's. */
export async function startNetwork (t: Teardown, target: string, options?: NetworkOptions): Promise<Network> {
  const network = new Network(target, options)
  await network.open(t)
  return network
}
