/*
 * The part of a backend that a page needs: it holds the credential of the platform, and issues short-lived tokens for
 * users. It also creates the shop on first use, which a real application does once.
 */

const email = process.env['SHOP_EMAIL'] ?? 'ada@example.com'
const password = process.env['SHOP_PASSWORD'] ?? 'a long pass phrase'

/** No more than the page uses. */
const permissions = ['subscribe', 'publish', 'documents:read', 'documents:update']

/** Returns a function that issues a token for a user. */
export function createBackend (platform: string): (user: string) => Promise<string> {
  let shop: Promise<{ session: string, applicationId: string }> | undefined

  async function send<Answer> (method: string, path: string, credential?: string, body?: object): Promise<Answer> {
    const response = await fetch(platform + path, {
      method,
      headers: {
        ...(credential !== undefined && { authorization: credential }),
        ...(body !== undefined && { 'content-type': 'application/json' })
      },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const answer = await response.json() as Answer & { code?: string, message?: string }
    if (!response.ok && response.status !== 409) throw new Error(`${method} ${path}: ${answer.message}`)
    return answer
  }

  async function openShop () {
    const { setupRequired } = await send<{ setupRequired: boolean }>('GET', '/api/auth/setup-status')
    if (setupRequired) await send('POST', '/api/auth/setup', undefined, { name: 'Ada', email, password })
    const { sessionToken: session } =
      await send<{ sessionToken: string }>('POST', '/api/auth/login', undefined, { email, password })
    const [found] = await send<{ id: string }[]>('GET', '/api/applications?q=Live%20shop', session)
    const { id: applicationId } =
      found ?? await send<{ id: string }>('POST', '/api/applications', session, { name: 'Live shop' })
    const { token } = await send<{ token: string }>('POST', '/auth/token', session, {
      applicationId, permissions: ['admin'], expiresIn: 60
    })
    const admin = `Bearer ${token}`
    await send('POST', '/api/topics', admin, {
      name: 'order.placed', description: 'An order was placed', owner: 'live-shop'
    })
    await send('POST', '/api/services', admin, { name: 'cart', description: 'Shared carts' })
    await send('POST', '/api/sync/cart/documents', admin, { id: 'shared', data: { items: {}, note: '' } })
    return { session, applicationId }
  }

  return async user => {
    shop ??= openShop()
    try {
      const { session, applicationId } = await shop
      const { token } = await send<{ token: string }>('POST', '/auth/token', session, {
        applicationId, permissions, subject: user, expiresIn: 600
      })
      return token
    } catch (error) {
      // The platform may be down, or the session over: the next request starts again.
      shop = undefined
      throw error
    }
  }
}
