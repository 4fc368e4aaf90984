import { RateLimitError, type PublicError } from '../../errors.ts'

/**
 * Why the server closes a socket. Over `/ws` it is the close code (RFC 6455 §7.4: 4000–4999 are private); over
 * Socket.IO a `closing` event carries the same. `reconnect` decides how a Socket.IO client is closed: where it is true,
 * a stock client sees "transport close" and reconnects by itself; otherwise it sees "io server disconnect" and stays
 * away.
 */
export const closeCodes = {
  /** The server stops or restarts: come back, another one answers (1012 is IANA's "Service Restart"). */
  RESTART: { code: 1012, reason: 'SHUTTING_DOWN', reconnect: true },
  /**
   * The credential could not be checked, because the database is away: come back shortly (1013 is IANA's "Try Again
   * Later").
   */
  TRY_AGAIN_LATER: { code: 1013, reason: 'TRY_AGAIN_LATER', reconnect: true },
  /** No credential in time, or a bad one: come back with a good one. */
  UNAUTHENTICATED: { code: 4401, reason: 'UNAUTHENTICATED', reconnect: false },
  /** The token or session has ended: come back with a fresh one. */
  CREDENTIAL_EXPIRED: { code: 4402, reason: 'CREDENTIAL_EXPIRED', reconnect: false },
  /** The key was revoked, or the session logged out. */
  CREDENTIAL_REVOKED: { code: 4403, reason: 'CREDENTIAL_REVOKED', reconnect: false },
  /** The client reads more slowly than its events arrive, and did not catch up in time: come back with `after`. */
  SLOW_CONSUMER: { code: 4408, reason: 'SLOW_CONSUMER', reconnect: true },
  /** The application was deleted. */
  APPLICATION_DELETED: { code: 4410, reason: 'APPLICATION_DELETED', reconnect: false },
  /**
   * The client goes on sending faster than it may, although it was told; or there are more connections, or refused
   * credentials, than there may be: come back later.
   */
  RATE_LIMITED: { code: 4429, reason: 'RATE_LIMITED', reconnect: true }
} as const

export type CloseReason = typeof closeCodes[keyof typeof closeCodes]

/** The close reason for a refused handshake. */
export function reasonForRefusal (refusal: PublicError): CloseReason {
  if (refusal.code === 'SHUTTING_DOWN') return closeCodes.RESTART
  if (refusal instanceof RateLimitError) return closeCodes.RATE_LIMITED
  return refusal.status >= 500 ? closeCodes.TRY_AGAIN_LATER : closeCodes.UNAUTHENTICATED
}

/**
 * Whether the same handshake may succeed later, with nothing changed by the client. `RATE_LIMITED` does not count: in a
 * handshake it stands for a bad credential (auth/refusal-limit.ts).
 */
export const isPassing = (refusal: PublicError): boolean =>
  refusal.code !== 'RATE_LIMITED' && reasonForRefusal(refusal).reconnect
