import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import { ValidationError } from '../../errors.ts'

const hostBytesMax = 255
/** A DNS name, with the underscores of container networks, or an IPv4 address. It may end with the dot of the root. */
const name = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?$/i
const hostAndPort = /^(\[[^\]]*\]|[^:]*)(?::(\d{0,5}))?$/

/**
 * Throws ValidationError unless the request has exactly one valid `Host`, which HTTP/1.0 may omit (RFC 9112 §3.2). With
 * two, a proxy could pick the other one and route by a name that this server does not see.
 */
export function checkHost ({ rawHeaders, headers: { host }, httpVersion }: IncomingMessage): void {
  if (rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'host').length > 1) {
    throw invalid('The request has more than one Host header')
  }
  if (host === undefined) {
    if (httpVersion === '1.0') return
    throw invalid('The request has no Host header')
  }
  if (!isHost(host)) throw invalid('The Host header must be a host name or an address, with or without a port')
}

function isHost (text: string): boolean {
  const [, host, port = ''] = (text.length <= hostBytesMax && hostAndPort.exec(text)) || []
  if (host === undefined || Number(port) > 65_535) return false
  return host.startsWith('[') ? isIPv6(host.slice(1, -1)) && !host.includes('%') : name.test(host)
}

const invalid = (message: string) =>
  new ValidationError('VALIDATION_FAILED', message, { details: [{ path: '/host', message: 'must be a single host' }] })
