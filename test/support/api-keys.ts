import type { ApiKeyCreate, ApiKeyCreated } from '../../schemas/api-keys.ts'
import type { requests } from './people.ts'

/** Creates an API key of an application as a user. */
export async function createApiKey (
  creator: Pick<ReturnType<typeof requests>, 'post'>, applicationId: string,
  { name = 'A key', permissions = ['subscribe'], ...more }: Partial<ApiKeyCreate> = {}
): Promise<ApiKeyCreated> {
  const { status, text, body } = await creator.post(
    '/api/api-keys', { name, permissions, ...more }, { headers: { 'x-application-id': applicationId } }
  )
  if (status !== 201) throw new Error(text)
  return body as ApiKeyCreated
}
