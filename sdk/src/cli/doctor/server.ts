import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { fail, ok, reasonOf, timeoutMs, warn, type Outcome } from './check.ts'

const dayMs = 86_400_000

export async function checkDns (url: URL): Promise<Outcome> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  try {
    const addresses = await lookup(host, { all: true })
    return ok(`${host} resolves to ${addresses.map(({ address }) => address).join(', ')}`)
  } catch (error) {
    return fail(`${host}: ${reasonOf(error)}`, 'Check the host name of the URL, and the DNS of this machine')
  }
}

export async function checkTls (url: URL): Promise<Outcome> {
  if (url.protocol === 'http:') {
    return /^(?:localhost|127\.|\[::1\])/.test(url.hostname)
      ? ok('not used, which is fine on this machine')
      : warn('not used: tokens and events can be read on the way', 'Serve the platform over https')
  }
  try {
    const certificate = await certificateOf(url)
    const days = Math.floor((Date.parse(certificate.valid_to) - Date.now()) / dayMs)
    return days < 14
      ? warn(`the certificate expires in ${days} days`, 'Renew it')
      : ok(`the certificate is valid for ${days} days`)
  } catch (error) {
    const reason = reasonOf(error)
    if (/TLS|port/.test(reason)) return fail(reason, 'Check the port of the URL, and whether it is https or http')
    return fail(reason, 'Install a certificate for this host with all intermediate certificates, or, for a private ' +
      'authority, set NODE_EXTRA_CA_CERTS to its certificate')
  }
}

function certificateOf ({ hostname, port }: URL): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const names = isIP(host) === 0 ? { servername: host } : {}
    const socket = connectTls({ host, port: Number(port || 443), ...names }, () => {
      resolve(socket.getPeerCertificate())
      socket.destroy()
    })
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no response')))
    socket.on('error', reject)
  })
}

export interface Reached {
  health: Outcome
  clock?: Outcome
  latency?: Outcome
}

/** Asks for /health several times: whether the platform answers, its clock, and how long a request takes. */
export async function reach (url: string): Promise<Reached> {
  const timesMs: number[] = []
  let date: number | undefined
  let version = ''
  try {
    for (let i = 0; i < 5; i++) {
      const started = Date.now()
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(timeoutMs) })
      const body = await response.json().catch(() => undefined) as { status?: string, version?: string } | undefined
      timesMs.push(Date.now() - started)
      if (!response.ok || body?.status !== 'ok' || body.version === undefined) {
        return {
          health: fail(`${url}/health answers with ${response.status}, but not as the platform does`,
            'Check the path of the URL, and that the proxy passes /health, /api, /ws and /socket.io to the platform')
        }
      }
      version = body.version
      // The header has whole seconds. The best estimate is between sending and receiving.
      const sent = Date.parse(response.headers.get('date') ?? '')
      if (!Number.isNaN(sent)) date = sent + 500 - (started + Date.now()) / 2
    }
  } catch (error) {
    return {
      health: fail(`${url} cannot be reached: ${reasonOf(error)}`,
        'Check the port of the URL, that the server runs, and firewalls in between')
    }
  }
  return {
    health: ok(`version ${version} of the platform answers`),
    clock: clock(date),
    latency: latency('a REST request', timesMs)
  }
}

export async function checkReadiness (url: string): Promise<Outcome> {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(timeoutMs) })
  const { components = {} } = await response.json() as { components?: Record<string, { status?: string }> }
  const faulty = Object.entries(components).filter(([, { status }]) => status !== 'ok' && status !== 'disabled')
    .map(([name, { status }]) => `${name} is ${status}`).join(', ')
  if (!response.ok) return fail(faulty || `status ${response.status}`, 'Read the log of the server')
  return faulty === '' ? ok(`${Object.keys(components).join(', ')}`) : warn(faulty, 'Read the log of the server')
}

function clock (differenceMs: number | undefined): Outcome {
  if (differenceMs === undefined) return warn('the server sends no Date header', 'Let the proxy pass the header Date')
  const seconds = Math.round(Math.abs(differenceMs) / 1000)
  const text = `this machine is ${seconds} s ${differenceMs > 0 ? 'behind' : 'ahead of'} the server`
  const advice = 'Synchronize both clocks (NTP): expiry of tokens and signatures of webhooks depend on them'
  if (seconds <= 2) return ok('this machine and the server agree')
  return seconds > 60 ? fail(text, advice) : warn(text, advice)
}

export function latency (what: string, timesMs: readonly number[]): Outcome {
  const sorted = [...timesMs].sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  const text = `${what} takes ${median} ms (${sorted[0]} to ${sorted.at(-1)} ms)`
  return median > 500 ? warn(text, 'Use a server that is nearer, and look for a slow proxy') : ok(text)
}

/** Sends the preflight that a browser sends before a request of a page of that origin. */
export async function checkCors (url: string, origin: string): Promise<Outcome> {
  const response = await fetch(`${url}/api/topics`, {
    method: 'OPTIONS', signal: AbortSignal.timeout(timeoutMs),
    headers: {
      origin, 'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,idempotency-key,x-application-id,x-environment'
    }
  })
  const allowed = response.headers.get('access-control-allow-origin')
  if (allowed !== '*' && allowed !== origin) {
    return fail(`pages of ${origin} may not call this server${allowed === null ? '' : `, only those of ${allowed}`}`,
      `Add ${origin} to CORS_ORIGINS of the server, and let the proxy pass OPTIONS requests`)
  }
  const headers = (response.headers.get('access-control-allow-headers') ?? '').toLowerCase()
  const missing = ['authorization', 'content-type'].filter(name => headers !== '*' && !headers.includes(name))
  return missing.length === 0
    ? ok(`pages of ${origin} may call this server`)
    : fail(`pages of ${origin} may not send ${missing.join(' and ')}`, 'Let the proxy keep the CORS headers')
}
