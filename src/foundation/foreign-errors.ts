import { errors } from 'undici'

/*
 * Messages for failures of servers that a tenant names. The texts of OpenSSL, the resolver and PostgreSQL contain our
 * files, addresses and users, so they only go to the log.
 */

const network: Record<string, string> = {
  ENOTFOUND: 'The host name has no address',
  EAI_AGAIN: 'The host name lookup failed temporarily',
  EAI_FAIL: 'The host name lookup failed',
  ENODATA: 'The host name has no address',
  ESERVFAIL: 'The host name lookup failed temporarily',
  ETIMEOUT: 'The host name lookup timed out',
  ECONNREFUSED: 'The connection was refused',
  ECONNRESET: 'The other side reset the connection',
  ECONNABORTED: 'The connection was aborted',
  EPIPE: 'The other side closed the connection',
  ETIMEDOUT: 'There was no response in time',
  EHOSTUNREACH: 'There is no route to the host',
  ENETUNREACH: 'There is no route to the network',
  EADDRNOTAVAIL: 'There is no route to the host',
  UND_ERR_SOCKET: 'The other side closed the connection',
  UND_ERR_CONNECT_TIMEOUT: 'The connection was not established in time',
  UND_ERR_HEADERS_TIMEOUT: 'There was no response in time',
  UND_ERR_BODY_TIMEOUT: 'The response did not end in time',
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the response are too large',
  INTERIM_ANSWERS_TOO_LONG: 'There were too many informational (1xx) responses',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'The response is shorter or longer than its Content-Length'
}

const certificates: Record<string, string> = {
  CERT_HAS_EXPIRED: 'The certificate has expired',
  CERT_NOT_YET_VALID: 'The certificate is not valid yet',
  CERT_REVOKED: 'The certificate was revoked',
  CERT_REJECTED: 'The certificate is rejected',
  CERT_UNTRUSTED: 'The certificate is not trusted',
  CERT_SIGNATURE_FAILURE: 'The signature of the certificate is invalid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'The certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'The certificate chain ends in an untrusted certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'The certificate chain is incomplete',
  UNABLE_TO_GET_ISSUER_CERT: 'The certificate chain is incomplete',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'The certificate is from an untrusted authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate is for another host name',
  HOSTNAME_MISMATCH: 'The certificate is for another host name'
}

/** By SQLSTATE, the most specific first (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const sqlStates: [RegExp, string][] = [
  [/^28P01$/, 'PostgreSQL rejects the password'],
  [/^28/, 'PostgreSQL rejects the user or its address'],
  [/^3D000$/, 'PostgreSQL has no such database'],
  [/^42501$/, 'The PostgreSQL user lacks a privilege'],
  [/^42P01$/, 'PostgreSQL has no such table'],
  [/^42703$/, 'PostgreSQL has no such column'],
  [/^42704$/, 'PostgreSQL has no such object'],
  [/^42710$/, 'PostgreSQL already has such an object'],
  [/^42/, 'PostgreSQL rejects the statement'],
  [/^0A/, 'PostgreSQL does not support this feature'],
  [/^08/, 'The connection to PostgreSQL failed'],
  [/^53300$/, 'PostgreSQL has reached its connection limit'],
  [/^53100$/, "PostgreSQL's disk is full"],
  [/^53/, 'PostgreSQL is out of resources'],
  [/^55006$/, 'The object is in use in PostgreSQL'],
  [/^55P03$/, 'PostgreSQL did not grant a lock in time'],
  [/^55/, 'PostgreSQL is not in the required state'],
  [/^57014$/, 'PostgreSQL did not finish in time'],
  [/^57P0[123]$/, 'PostgreSQL is starting or stopping'],
  [/^57/, 'PostgreSQL cancelled the operation'],
  [/^(58|F0|XX)/, 'PostgreSQL has an internal error'],
  [/^40/, 'PostgreSQL rolled back the transaction'],
  [/^2[0-9A-Z]/, 'PostgreSQL rejects the data']
]

/** By text, for errors of `pg` that have no code. */
const texts: [RegExp, string][] = [
  [/does not support SSL/i, 'The server does not support TLS'],
  [/timeout/i, 'There was no response in time'],
  [
    /Connection terminated|Client was closed|connection error|other side closed|socket hang up/i,
    'The other side closed the connection'
  ],
  [/secure TLS connection/i, 'The connection ended before TLS was set up']
]

/**
 * Returns a sentence of our own, with the error's code, for a failure of a server that a tenant has named. It contains
 * nothing of the error's own text.
 */
export function explainForeignError (error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(explainForeignError))].join('; ')
  }
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
  if (error instanceof errors.HTTPParserError || code.startsWith('HPE_')) return 'The response is not valid HTTP'
  if (/^[0-9A-Z]{5}$/.test(code)) {
    return sqlStates.find(([form]) => form.test(code))?.[1] ?? 'PostgreSQL reported an error'
  }
  return texts.find(([form]) => form.test(message))?.[1] ?? 'The connection failed'
}
