export interface DecodedToken {
  subject: string | undefined
  expiresAt: number | undefined
  claims: Record<string, unknown>
}

/** Decodes the claims of a JWT without a check of its signature. Undefined for other credentials, such as API keys. */
export function decodeToken (token: string): DecodedToken | undefined {
  const [, body, signature] = token.trim().split('.')
  if (body === undefined || signature === undefined) return undefined
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), char => char.charCodeAt(0))
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined
    const known = claims as Record<string, unknown>
    return {
      subject: typeof known['sub'] === 'string' ? known['sub'] : undefined,
      expiresAt: typeof known['exp'] === 'number' ? known['exp'] * 1000 : undefined,
      claims: known
    }
  } catch {
    return undefined
  }
}
