import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { steadyPort } from './steady-port.ts'

/** A proxy between a server and its database that can cut, refuse and block connections, and withhold responses. */
export class DatabaseProxy {
  readonly #target: { host: string, port: number }
  readonly #pairs = new Set<[Socket, Socket]>()
  #server: Server = this.#newServer()
  #port = 0
  #isHanging = false
  #holding: { text: string, onHeld: (pass: () => void) => void } | undefined

  constructor (url: URL) {
    this.#target = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 5432) }
  }

  async open (): Promise<number> {
    // Reopened at the same port, which no outgoing connection may take meanwhile.
    if (this.#port === 0) this.#port = await steadyPort()
    this.#server = this.#newServer()
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
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

  /**
   * Withholds the response to the next request that contains a text. Resolves once the database has responded, with a
   * function that passes the response on.
   */
  async holdResponse (text: string): Promise<() => void> {
    return await new Promise(resolve => { this.#holding = { text, onHeld: resolve } })
  }

  /** Passes data on, and withholds the response to a request that `holdResponse` waits for. */
  #pass (client: Socket, upstream: Socket): void {
    let onHeld: ((pass: () => void) => void) | undefined
    let held: Buffer[] | undefined
    client.on('data', (data: Buffer) => {
      if (this.#holding !== undefined && data.includes(this.#holding.text)) {
        onHeld = this.#holding.onHeld
        this.#holding = undefined
      }
      upstream.write(data)
    })
    upstream.on('data', (data: Buffer) => {
      if (onHeld !== undefined) {
        held = []
        onHeld(() => {
          for (const part of held ?? []) client.write(part)
          held = undefined
        })
        onHeld = undefined
      }
      if (held === undefined) client.write(data)
      else held.push(data)
    })
  }

  #newServer (): Server {
    return createServer(client => {
      const upstream = connect(this.#target)
      const pair: [Socket, Socket] = [client, upstream]
      this.#pairs.add(pair)
      this.#pass(client, upstream)
      for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
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
