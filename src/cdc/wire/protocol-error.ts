/**
 * Thrown when a server sends what PostgreSQL would not send. The message is ours: it contains nothing that the server
 * sent.
 */
export class ProtocolError extends Error {}

/** Thrown when a server requires an authentication method that is not supported. */
export class AuthenticationMethodError extends Error {}

/** Thrown when TLS with a server cannot be established. */
export class TlsError extends Error {}
