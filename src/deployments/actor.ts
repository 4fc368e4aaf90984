import type { Kysely } from 'kysely'
import type { Database, DeploymentsTable } from '../../db/tables.ts'
import { UnauthorizedError } from '../errors.ts'
import { isApiKey, type Principal } from '../identity/access/principal.ts'

/** Who acts on a deployment: a user, in person or by one of its API keys, or the bearer of a token. */
export interface Actor { id: string, kind: DeploymentsTable['created_with'] }

/**
 * Returns who acts. An API key counts as the user who created it, so that nobody approves an own deployment with a key.
 */
export async function actorOf (db: Kysely<Database>, principal: Principal): Promise<Actor> {
  if (principal.kind === 'session') return { id: principal.userId, kind: 'session' }
  if (!isApiKey(principal)) return { id: principal.id, kind: 'token' }
  const key = await db.selectFrom('api_keys').select('created_by').where('id', '=', principal.apiKeyId)
    .executeTakeFirst()
  if (key === undefined) {
    throw new UnauthorizedError('CREDENTIAL_INVALID', 'The credential is not valid: the API key has ended')
  }
  return { id: key.created_by, kind: 'api-key' }
}
