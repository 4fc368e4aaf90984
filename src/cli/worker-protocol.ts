import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/* Messages between a worker and its parent, beside those of the bus. All of them are JSON. */

/** The file descriptor of the link in a worker, after the standard ones and Node's own channel. */
export const linkDescriptor = 4

/** In a worker: opens its end of the link. */
export const openLink = (): Duplex => new Socket({ fd: linkDescriptor, readable: true, writable: true })

/** The answer to `begin`, the first question of a worker. */
export interface Beginning {
  /** The worker's name. Its replacement gets the same. */
  worker: string
  databaseUrl: string
  /** In base64. */
  encryptionKeys: string[]
  poolMax: number
  setupToken: string
  shutdownTimeoutMs: number
  /** The folder of the workers' socket files. */
  folder: string
}

/** The report `ready` of a worker that listens. */
export interface Announcement {
  url: string
  /** Undefined once setup is complete. */
  setupToken?: string
  isSetupRequired: boolean
}

/** The report `failed` of a worker whose start has failed. */
export interface StartFailure {
  /** The sentence that explains it, or the stack. */
  reason: string
  isExplained: boolean
}
