import type { BodyLimits } from '../foundation/limits/body-budget.ts'

/** How the server listens, and what it refuses. */
export interface HttpSettings {
  host: string
  port: number
  publicUrl: string | undefined
  /** An absolute path. */
  consoleFolder: string | undefined
  corsOrigins: string[]
  trustProxy: string[]
  /**
   * Limits per minute, by principal, by application, and of refused credentials by address. 0 is no limit; the same
   * holds for connections.
   */
  rateLimitMax: number
  rateLimitApplicationMax: number
  rateLimitUnauthorizedMax: number
  connectionsPerAddressMax: number
  /**
   * Time in which a request, and its headers, must arrive. It is checked every `timeoutsCheckedMs`, which has no
   * variable.
   */
  requestTimeoutMs: number
  headersTimeoutMs: number
  timeoutsCheckedMs: number
  /**
   * Above any of these limits, requests are refused. Only the memory of the process has a variable; tests may set the
   * others.
   */
  heapUsedBytesMax: number
  rssBytesMax: number
  externalBytesMax: number
  /** Limits of unanswered request bodies. */
  bodies: BodyLimits
}
