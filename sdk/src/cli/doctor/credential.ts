import { createAdminClient, unwrap } from '../../admin/index.ts'
import { getTokenExpiresIn } from '../../connection/token.ts'
import { RealtimeError } from '../../errors.ts'
import type { Profile } from '../settings.ts'
import { fail, ok, warn, type Outcome } from './check.ts'

const kinds: Record<string, string> = { session: 'a session', token: 'a token', apiKey: 'an API key' }

export async function checkToken ({ url, token, applicationId }: Profile): Promise<Outcome> {
  try {
    const me = await unwrap(createAdminClient({ url, token, retries: 1 }).GET('/api/auth/me'))
    const kind = kinds[me.kind] ?? me.kind
    if (me.applicationId === undefined && applicationId === undefined) {
      return fail(`it is ${kind}, and no application is chosen`, 'Set --application or REALTIME_APPLICATION')
    }
    if (me.applicationId !== undefined && applicationId !== undefined && me.applicationId !== applicationId) {
      return fail(`it is for ${me.applicationId}, not for ${applicationId}`, 'Use the application of the token')
    }
    const scope = `${kind} for ${me.applicationId ?? applicationId}`
    if (me.expiresAt === null) return ok(`${scope}; it does not expire`)
    const left = me.expiresAt - Date.now()
    const expiry = `${scope}; it expires in ${duration(left)}`
    return left < 300_000
      ? warn(expiry, 'Pass a function as `token`, so that the client fetches a fresh one in time')
      : ok(expiry)
  } catch (error) {
    if (!(error instanceof RealtimeError)) throw error
    const isExpired = getTokenExpiresIn(token) === 0
    return fail(isExpired ? 'it has expired' : error.message,
      'Run "realtime-platform login", or set another REALTIME_TOKEN')
  }
}

function duration (ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} minutes`
  return minutes < 2880 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1440)} days`
}
