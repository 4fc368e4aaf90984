/** Thrown when a server violates the PostgreSQL protocol. The message never contains what the server sent. */
export class ProtocolError extends Error {}

/** Thrown when a server requires an authentication method that is not supported. */
export class AuthenticationMethodError extends Error {}

/** Thrown when TLS with a server cannot be established. */
export class TlsError extends Error {}
