import type { Closing } from '../../../schemas/socket-messages.ts'
import { RateLimitError, type PublicError } from '../../errors.ts'

/**
 * The reasons for which the server closes a socket. On `/ws`, `code` is the close code (RFC 6455 §7.4: 4000–4999 are
 * for private use); on Socket.IO, a `closing` event carries the same fields. `reconnect` decides how a Socket.IO client
 * is closed: if it is true, a stock client sees "transport close" and reconnects by itself; otherwise it sees "io
 * server disconnect" and stays disconnected.
 */
export const closeCodes = {
  /**
   * The server stops or restarts. The client reconnects, to another node if there is one (1012 is IANA's "Service
   * Restart").
   */
  RESTART: { code: 1012, reason: 'SHUTTING_DOWN', reconnect: true },
  /**
   * The credential could not be checked because the database is unavailable. The client reconnects shortly (1013 is
   * IANA's "Try Again Later").
   */
  TRY_AGAIN_LATER: { code: 1013, reason: 'TRY_AGAIN_LATER', reconnect: true },
  /** The client sent no credential in time, or an invalid one. Reconnect with a valid one. */
  UNAUTHENTICATED: { code: 4401, reason: 'UNAUTHENTICATED', reconnect: false },
  /** The token or session has expired. Reconnect with a new one. */
  CREDENTIAL_EXPIRED: { code: 4402, reason: 'CREDENTIAL_EXPIRED', reconnect: false },
  /** The signing key was revoked, or the session was ended. */
  CREDENTIAL_REVOKED: { code: 4403, reason: 'CREDENTIAL_REVOKED', reconnect: false },
  /**
   * The client reads more slowly than its events arrive, and did not catch up in time. Reconnect, and subscribe with
   * `after`.
   */
  SLOW_CONSUMER: { code: 4408, reason: 'SLOW_CONSUMER', reconnect: true },
  /** The application was deleted. */
  APPLICATION_DELETED: { code: 4410, reason: 'APPLICATION_DELETED', reconnect: false },
  /**
   * The client kept sending too fast after a refusal, or there are too many connections or refused credentials.
   * Reconnect later.
   */
  RATE_LIMITED: { code: 4429, reason: 'RATE_LIMITED', reconnect: true }
} as const satisfies Record<string, Closing>

export type CloseReason = typeof closeCodes[keyof typeof closeCodes]

/** Returns the close reason for a refused handshake. */
export function reasonForRefusal (refusal: PublicError): CloseReason {
  if (refusal.code === 'SHUTTING_DOWN') return closeCodes.RESTART
  if (refusal instanceof RateLimitError) return closeCodes.RATE_LIMITED
  return refusal.status >= 500 ? closeCodes.TRY_AGAIN_LATER : closeCodes.UNAUTHENTICATED
}

/**
 * Returns whether the same handshake may succeed later without a change by the client. `RATE_LIMITED` does not count,
 * because in a handshake it stands for an invalid credential (auth/refusal-limit.ts).
 */
export const isPassing = (refusal: PublicError): boolean =>
  refusal.code !== 'RATE_LIMITED' && reasonForRefusal(refusal).reconnect
