export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Sends REST requests with one credential: `Bearer <token>`, or a session token as it is. */
export type Api = <Answer>(method: Method, path: string, body?: object) => Promise<Answer>

export function createApi (url: string, headers: Record<string, string> = {}): Api {
  return async <Answer>(method: Method, path: string, body?: object) => {
    const response = await fetch(`${url}${path}`, {
      method,
      // Bodies are JSON. A request without a body must not have a content type.
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const text = await response.text()
    const answer = text === '' ? undefined : JSON.parse(text) as unknown
    // Every error has the same shape: error, message, a stable code, and details if there are any.
    if (!response.ok) {
      throw new Error(`${method} ${path} returned ${response.status}: ${(answer as { message: string }).message}`)
    }
    return answer as Answer
  }
}
