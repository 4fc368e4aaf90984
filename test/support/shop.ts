import { call, made } from './rest.ts'

/** An application, with the credentials of its administrator. */
export interface Shop { token: string, topic: string }

export const administrator = { name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple' }

interface Credentials { sessionToken: string, applicationId: string, token: string }

/** Creates an application and a token over HTTP, and the first user unless a session is given. */
export async function setUp (url: string, session?: string): Promise<Credentials> {
  const sessionToken = session ??
    (await made<{ sessionToken: string }>(call('POST', `${url}/api/auth/setup`, { body: administrator }))).sessionToken
  const { id: applicationId } = await made<{ id: string }>(
    call('POST', `${url}/api/applications`, { token: sessionToken, body: { name: 'Shop' } })
  )
  const { token } = await made<{ token: string }>(
    call('POST', `${url}/auth/token`, {
      token: sessionToken,
      body: { applicationId, permissions: ['admin'], expiresIn: 86_400 }
    })
  )
  return { sessionToken, applicationId, token }
}

/** Like `setUp`, and creates a topic. */
export async function openShop (
  url: string, { sessionToken }: { sessionToken?: string } = {}
): Promise<Shop & Credentials> {
  const credentials = await setUp(url, sessionToken)
  const topic = 'order.placed'
  await made(
    call('POST', `${url}/api/topics`, {
      token: credentials.token,
      body: { name: topic, description: 'A test', owner: 'tests' }
    })
  )
  return { ...credentials, topic }
}
