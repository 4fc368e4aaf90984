/** The outcome of a check. `advice` is what to change. */
export interface Outcome { status: 'ok' | 'warn' | 'fail' | 'skip', message: string, advice?: string }
export interface Check extends Outcome { name: string }

export const ok = (message: string): Outcome => ({ status: 'ok', message })
export const skip = (message: string): Outcome => ({ status: 'skip', message })
export const warn = (message: string, advice: string): Outcome => ({ status: 'warn', message, advice })
export const fail = (message: string, advice: string): Outcome => ({ status: 'fail', message, advice })

/** How long one request of a check may take. */
export const timeoutMs = 10_000

/** Returns the deepest reason of a failed request in plain words. */
export function reasonOf (error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    if (code !== undefined && code in reasons) return reasons[code] ?? code
    if (at.name === 'TimeoutError') return `no response within ${timeoutMs / 1000} s`
    if (at.cause === undefined) return at.message || code || at.name
  }
  return String(error)
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'the port is closed',
  ECONNRESET: 'the connection was closed before the response',
  ENOTFOUND: 'the host name is not in DNS',
  EAI_AGAIN: 'the DNS server did not respond',
  ETIMEDOUT: 'no response',
  EHOSTUNREACH: 'the host is not reachable from this network',
  ENETUNREACH: 'the network is not reachable',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is signed by an authority that this machine does not trust',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the server does not send its intermediate certificates',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name',
  EPROTO: 'the port does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the port does not speak TLS',
  UND_ERR_SOCKET: 'the connection was closed before the response',
  UND_ERR_CONNECT_TIMEOUT: 'no connection within 10 s'
}
