export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Requests to the REST API as one credential: `Bearer <token>`, or a session token as it is. */
export type Api = <Answer>(method: Method, path: string, body?: object) => Promise<Answer>

export function createApi (url: string, headers: Record<string, string> = {}): Api {
  return async <Answer>(method: Method, path: string, body?: object) => {
    const response = await fetch(`${url}${path}`, {
      method,
      // Bodies are JSON; a request without one must not claim to have it.
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const text = await response.text()
    const answer = text === '' ? undefined : JSON.parse(text) as unknown
    // Every refusal has the same shape: error, message, a stable code, and details where there are any.
    if (!response.ok) { throw new Error(`${method} ${path} answered ${response.status}: ${(answer as { message: string }).message}`) }
    return answer as Answer
  }
}
