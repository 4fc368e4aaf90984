export interface Reply { status: number, headers: Headers, body: unknown }

/** Sends one request. Rejects when the connection is lost. */
export async function call (
  method: string,
  url: string,
  { token, body, headers = {}, signal }: {
    token?: string
    body?: unknown
    headers?: Record<string, string>
    signal?: AbortSignal
  } = {}
): Promise<Reply> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token !== undefined && { authorization: token.startsWith('sess_') ? token : `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal })
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
}

export async function made<T> (answering: Promise<Reply>): Promise<T> {
  const { status, body } = await answering
  if (status >= 300) throw new Error(JSON.stringify(body))
  return body as T
}
