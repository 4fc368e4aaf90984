import { errors } from 'undici'

/*
 * What a tenant reads of another server's failure. Texts of OpenSSL, the resolver and PostgreSQL name our files,
 * addresses and users: they stay in the log.
 */

const network: Record<string, string> = {
  ENOTFOUND: 'The name has no address',
  EAI_AGAIN: 'The name cannot be looked up at the moment',
  EAI_FAIL: 'The name cannot be looked up',
  ENODATA: 'The name has no address',
  ESERVFAIL: 'The name cannot be looked up at the moment',
  ETIMEOUT: 'The name was not looked up in time',
  ECONNREFUSED: 'The connection was refused',
  ECONNRESET: 'The other side cut the connection',
  ECONNABORTED: 'The connection was cut',
  EPIPE: 'The other side closed the connection',
  ETIMEDOUT: 'There was no answer in time',
  EHOSTUNREACH: 'There is no route to the host',
  ENETUNREACH: 'There is no route to the network',
  EADDRNOTAVAIL: 'There is no route to the host',
  UND_ERR_SOCKET: 'The other side closed the connection',
  UND_ERR_CONNECT_TIMEOUT: 'There was no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'There was no answer in time',
  UND_ERR_BODY_TIMEOUT: 'The answer did not end in time',
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the answer are too large',
  INTERIM_ANSWERS_TOO_LONG: 'Informational (1xx) answers had no end',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'The answer is shorter or longer than its Content-Length'
}

const certificates: Record<string, string> = {
  CERT_HAS_EXPIRED: 'The certificate has expired',
  CERT_NOT_YET_VALID: 'The certificate is not valid yet',
  CERT_REVOKED: 'The certificate was revoked',
  CERT_REJECTED: 'The certificate is rejected',
  CERT_UNTRUSTED: 'The certificate is not trusted',
  CERT_SIGNATURE_FAILURE: 'The certificate has a wrong signature',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'The certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'The chain of certificates ends in one that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'The chain of certificates is not complete',
  UNABLE_TO_GET_ISSUER_CERT: 'The chain of certificates is not complete',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'The certificate is from an authority that is not trusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate is for another name',
  HOSTNAME_MISMATCH: 'The certificate is for another name'
}

/** By SQLSTATE, the longest first (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const sqlStates: [RegExp, string][] = [
  [/^28P01$/, 'PostgreSQL refuses the password'],
  [/^28/, 'PostgreSQL refuses the user, or its address'],
  [/^3D000$/, 'PostgreSQL has no such database'],
  [/^42501$/, 'PostgreSQL says that a privilege is missing'],
  [/^42P01$/, 'PostgreSQL has no such table'],
  [/^42703$/, 'PostgreSQL has no such column'],
  [/^42704$/, 'PostgreSQL has no such object'],
  [/^42710$/, 'PostgreSQL has such an object already'],
  [/^42/, 'PostgreSQL refuses the statement'],
  [/^0A/, 'PostgreSQL does not support it'],
  [/^08/, 'The connection to PostgreSQL failed'],
  [/^53300$/, 'PostgreSQL has no connection left'],
  [/^53100$/, 'The disk of PostgreSQL is full'],
  [/^53/, 'PostgreSQL has no resources left'],
  [/^55006$/, 'PostgreSQL says that it is in use'],
  [/^55P03$/, 'PostgreSQL did not give a lock in time'],
  [/^55/, 'PostgreSQL is not in the state for it'],
  [/^57014$/, 'PostgreSQL did not finish in time'],
  [/^57P0[123]$/, 'PostgreSQL is starting or stopping'],
  [/^57/, 'An operator of PostgreSQL ended it'],
  [/^(58|F0|XX)/, 'PostgreSQL has an internal error'],
  [/^40/, 'PostgreSQL rolled the transaction back'],
  [/^2[0-9A-Z]/, 'PostgreSQL refuses the data']
]

/** By their text, where errors have no code: pg's own. */
const texts: [RegExp, string][] = [
  [/does not support SSL/i, 'The server does not support TLS'],
  [/timeout/i, 'There was no answer in time'],
  [
    /Connection terminated|Client was closed|connection error|other side closed|socket hang up/i,
    'The other side closed the connection'
  ],
  [/secure TLS connection/i, 'The connection was cut before TLS was set up']
]

/**
 * Says in our words what went wrong at a server that a tenant has named, with its code, and nothing of the error's own
 * text.
 */
export function explainForeignError (error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) { return [...new Set(error.errors.map(explainForeignError))].join('; ') }
  const { code, message } = error instanceof Error
    ? error as Error & { code?: unknown }
    : { code: undefined, message: '' }
  const sentence = sentenceOf(typeof code === 'string' ? code : '', message, error)
  return typeof code === 'string' && /^[A-Z0-9_]{3,60}$/.test(code) ? `${sentence} (${code})` : sentence
}

function sentenceOf (code: string, message: string, error: unknown): string {
  const known = network[code] ?? certificates[code]
  if (known !== undefined) return known
  if (/^(ERR_SSL_|ERR_TLS_|EPROTO)/.test(code)) return 'TLS could not be set up'
  if (/CERT|^CRL_/.test(code)) return 'The certificate is not accepted'
  if (error instanceof errors.HTTPParserError || code.startsWith('HPE_')) return 'The answer is not valid HTTP'
  if (/^[0-9A-Z]{5}$/.test(code)) { return sqlStates.find(([form]) => form.test(code))?.[1] ?? 'PostgreSQL reports an error' }
  return texts.find(([form]) => form.test(message))?.[1] ?? 'The connection failed'
}
