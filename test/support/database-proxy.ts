import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A proxy between a server and its database that can cut, refuse and block connections. */
export class DatabaseProxy {
  readonly #target: { host: string, port: number }
  readonly #pairs = new Set<[Socket, Socket]>()
  #server: Server = this.#newServer()
  #port = 0
  #isHanging = false

  constructor (url: URL) {
    this.#target = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 5432) }
  }

  async open (): Promise<number> {
    this.#server = this.#newServer()
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
    return this.#port
  }

  /** Cuts every connection and refuses new ones. */
  async close (): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Keeps connections and accepts new ones, but passes no data. */
  hang (isHanging: boolean): void {
    this.#isHanging = isHanging
    for (const pair of this.#pairs) for (const socket of pair) isHanging ? socket.pause() : socket.resume()
  }

  #newServer (): Server {
    return createServer(client => {
      const upstream = connect(this.#target)
      const pair: [Socket, Socket] = [client, upstream]
      this.#pairs.add(pair)
      for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
        from.on('data', data => to.write(data))
        from.on('error', () => {})
        from.on('close', () => {
          this.#pairs.delete(pair)
          to.destroy()
        })
      }
      if (this.#isHanging) for (const socket of pair) socket.pause()
    })
  }
}
