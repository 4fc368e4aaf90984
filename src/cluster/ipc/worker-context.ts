import type { Socket } from 'node:net'
import type { ParentLink } from './parent-link.ts'

/** The links of a worker to its parent and to the other workers. */
export interface WorkerContext {
  /** The worker's name. Its replacement has the same. */
  name: string
  parent: ParentLink
  /** A folder that only this user may enter, for the socket files of the workers. */
  folder: string
  /** Passes a TCP connection to another worker, with the bytes that have been read from it. Drops it on failure. */
  passOn (worker: string, read: Buffer, socket: Socket): void
  /** Receives the connections that other workers pass on. */
  onPassed (listener: (read: Buffer, socket: Socket) => void): void
}
