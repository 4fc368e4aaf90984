import { RealtimeError, refusal } from '../errors.ts'
import type { ErrorBody } from '../protocol/protocol.ts'

export const isErrorBody = (body: unknown): body is ErrorBody =>
  typeof body === 'object' && body !== null &&
  'code' in body && typeof body.code === 'string' && 'message' in body && typeof body.message === 'string'

/** Returns the wait in `Retry-After`, which is in seconds or an HTTP date (RFC 9110 §10.2.3); undefined without one. */
export function retryAfterMs (headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}

/** What `admin.GET` and its siblings resolve with. */
export interface AdminResult { data?: unknown, error?: unknown, response: Response }

/** The data of a successful result. */
export type DataOf<Result> = Result extends { error?: never, data: infer Data } ? Data : never

/**
 * Returns the data of a call, or throws its refusal as RealtimeError (ConflictError for 409), with the server's `code`:
 * `const topic = await unwrap(admin.GET('/api/topics/{name}', …))`.
 */
export async function unwrap<Result extends AdminResult> (call: Result | PromiseLike<Result>): Promise<DataOf<Result>> {
  const { data, error, response } = await call
  if (response.ok) return data as DataOf<Result>
  const { status, headers } = response
  if (isErrorBody(error)) {
    const wait = retryAfterMs(headers)
    throw refusal({ ...(wait !== undefined && { retryAfterMs: wait }), ...error }, status, headers.get('x-request-id'))
  }
  throw new RealtimeError('ANSWER_INVALID', `The response is not the platform's (${status})`, { status })
}
