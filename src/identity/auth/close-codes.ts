import type { Closing } from '../../../schemas/socket-messages.ts'
import { QuotaExceededError, RateLimitError, type PublicError } from '../../errors.ts'

/**
 * The reasons for which the server closes a socket. On `/ws`, `code` is the close code (RFC 6455 §7.4: 4000–4999 are
 * for private use); on Socket.IO, a `closing` event carries the same fields. `reconnect` decides how a Socket.IO client
 * is closed: if it is true, a stock client sees "transport close" and reconnects by itself; otherwise it sees "io
 * server disconnect" and stays disconnected.
 */
export const closeCodes = {
  /** 1012 is IANA's "Service Restart". */
  RESTART: { code: 1012, reason: 'SHUTTING_DOWN', reconnect: true },
  /** 1013 is IANA's "Try Again Later". */
  TRY_AGAIN_LATER: { code: 1013, reason: 'TRY_AGAIN_LATER', reconnect: true },
  UNAUTHENTICATED: { code: 4401, reason: 'UNAUTHENTICATED', reconnect: false },
  CREDENTIAL_EXPIRED: { code: 4402, reason: 'CREDENTIAL_EXPIRED', reconnect: false },
  CREDENTIAL_REVOKED: { code: 4403, reason: 'CREDENTIAL_REVOKED', reconnect: false },
  SLOW_CONSUMER: { code: 4408, reason: 'SLOW_CONSUMER', reconnect: true },
  APPLICATION_DELETED: { code: 4410, reason: 'APPLICATION_DELETED', reconnect: false },
  CLOSED_BY_OPERATOR: { code: 4411, reason: 'CLOSED_BY_OPERATOR', reconnect: false },
  RATE_LIMITED: { code: 4429, reason: 'RATE_LIMITED', reconnect: true }
} as const satisfies Record<string, Closing>

export type CloseReason = typeof closeCodes[keyof typeof closeCodes]

/** When a socket is closed with each reason. docs/PROTOCOL.md and the AsyncAPI document are generated from this. */
export const closeDescriptions: Record<Closing['reason'], string> = {
  SHUTTING_DOWN:
    'The server stops or restarts. A node that stops, if there are others, closes its sockets over 3 s; the others ' +
      'take over.',
  TRY_AGAIN_LATER:
    'The server cannot check the credential now, for example because its database is unavailable, or needs the ' +
      'memory that the socket holds.',
  UNAUTHENTICATED: 'The client sent no credential in time, or a bad one.',
  CREDENTIAL_EXPIRED: 'The token, API key or session has expired.',
  CREDENTIAL_REVOKED:
    'The signing key or the API key was revoked, the session ended, or the user, or the creator of the API key, has ' +
      'no right left in the application.',
  SLOW_CONSUMER:
    'The client reads more slowly than its messages arrive, and did not catch up in time. Subscribe again with ' +
      '`after`.',
  APPLICATION_DELETED: 'The application was deleted.',
  CLOSED_BY_OPERATOR:
    'A person or a program closed the connection with `DELETE /api/socket/sockets/:id`. The credential is still valid.',
  RATE_LIMITED:
    'The client kept sending too fast after a refusal, or there are too many connections or refused credentials, or ' +
      'the application has used up its quota of sockets.'
}

/** Returns the close reason for a refused handshake. */
export function reasonForRefusal (refusal: PublicError): CloseReason {
  if (refusal.code === 'SHUTTING_DOWN') return closeCodes.RESTART
  if (refusal instanceof RateLimitError || refusal instanceof QuotaExceededError) return closeCodes.RATE_LIMITED
  return refusal.status >= 500 ? closeCodes.TRY_AGAIN_LATER : closeCodes.UNAUTHENTICATED
}

/**
 * Returns whether the same handshake may succeed later without a change by the client. `RATE_LIMITED` does not count,
 * because in a handshake it stands for an invalid credential (auth/refusal-limit.ts).
 */
export const isPassing = (refusal: PublicError): boolean =>
  refusal.code !== 'RATE_LIMITED' && reasonForRefusal(refusal).reconnect
