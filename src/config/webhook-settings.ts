/** How webhooks are sent. */
export interface WebhookSettings extends WebhookLimits {
  allowPrivate: boolean
  /** In CIDR notation. */
  allowedNetworks: string[]
  retryScheduleMs: number[]
  timeoutMs: number
}

/** Limits of the dispatcher. None has a variable; tests may tighten them. */
export interface WebhookLimits {
  /** Replaces DNS in tests: returns every address of a name. */
  resolve?: (hostname: string) => Promise<string[]>
  /** Trusted in addition to the system's certificate authorities, for receivers in tests. */
  certificateAuthority?: string
  perApplicationMax: number
  /** Concurrent requests of a node, and of a node to one endpoint. */
  concurrencyMax: number
  endpointConcurrencyMax: number
  /** Time limit of connecting, within the time limit of an attempt. */
  connectTimeoutMs: number
  /**
   * Consecutive failures after which an endpoint is paused, at first for `circuitPauseMs`, at most for
   * `circuitPauseMaxMs`.
   */
  circuitFailures: number
  circuitPauseMs: number
  circuitPauseMaxMs: number
  /** How long an endpoint without pending deliveries is kept in memory, with its connections. */
  endpointIdleMs: number
  /** The longest `Retry-After` that is honoured. */
  retryAfterMaxMs: number
  /** How long an endpoint may fail without a success before it is disabled. */
  deactivateAfterMs: number
  /** How long a lease lasts beyond the time limit of an attempt. */
  leaseMarginMs: number
  /** How often the dispatcher polls for deliveries that it received no hint of. */
  pollMs: number
  /** Bytes of a response that are read, and that are stored with the attempt. */
  responseBytesMax: number
  responseBytesLogged: number
  /** How long dead and unsent deliveries are kept. */
  deadKeptMs: number
}

export const defaultWebhookLimits: WebhookLimits = {
  perApplicationMax: 200,
  concurrencyMax: 512,
  endpointConcurrencyMax: 32,
  connectTimeoutMs: 5000,
  circuitFailures: 5,
  circuitPauseMs: 1000,
  circuitPauseMaxMs: 60_000,
  endpointIdleMs: 5 * 60_000,
  retryAfterMaxMs: 24 * 3_600_000,
  deactivateAfterMs: 5 * 24 * 3_600_000,
  leaseMarginMs: 5000,
  pollMs: 1000,
  responseBytesMax: 64 * 1024,
  responseBytesLogged: 1024,
  deadKeptMs: 30 * 24 * 3_600_000
}
