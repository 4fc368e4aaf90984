import type { CloseReason } from '../../identity/auth/close-codes.ts'
import type { Connection } from './connection.ts'

/** Sums one kind of bytes over the sockets of each application, at one moment. */
export class SocketBytes {
  readonly #byApplication = new Map<string, { bytes: number, sockets: { connection: Connection, bytes: number }[] }>()
  total = 0
  /** Bytes of the largest socket. */
  most = 0

  add (connection: Connection, bytes: number): void {
    if (bytes === 0) return
    const { applicationId } = connection.scope
    let own = this.#byApplication.get(applicationId)
    if (own === undefined) this.#byApplication.set(applicationId, own = { bytes: 0, sockets: [] })
    own.bytes += bytes
    own.sockets.push({ connection, bytes })
    this.total += bytes
    this.most = Math.max(this.most, bytes)
  }

  /**
   * Cuts sockets until at most `bytesMax` are left. Always takes the largest socket of the application with the most
   * bytes.
   */
  cutTo (bytesMax: number, reason: CloseReason): void {
    if (this.total <= bytesMax) return
    for (const { sockets } of this.#byApplication.values()) sockets.sort((a, b) => a.bytes - b.bytes)
    while (this.total > bytesMax) {
      const largest = [...this.#byApplication.values()].reduce((a, b) => b.bytes > a.bytes ? b : a)
      const socket = largest.sockets.pop()
      if (socket === undefined) return
      socket.connection.close(reason)
      socket.connection.transport.cut()
      largest.bytes -= socket.bytes
      this.total -= socket.bytes
    }
  }
}
