import type { ChannelMember } from '../../schemas/channels.ts'
import type { PageQuery } from '../../schemas/common.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { Documents } from '../documents/documents.ts'
import type { DocumentKey } from '../events/intent.ts'
import type { Census, Counted } from './census.ts'

/** A service's name has no colon, so that no two documents share a channel. */
export const documentChannel = ({ service, id }: DocumentKey): string => `doc:${service}:${id}`

/** Who looks at a document: the members of its channel. */
export function createDocumentPresence ({ documents, census }: { documents: Documents, census: Census }) {
  return {
    /** Throws NotFoundError `DOCUMENT_NOT_FOUND`. */
    async members (scope: Scope, key: DocumentKey, query: PageQuery): Promise<Counted<ChannelMember>> {
      await documents.get(scope, key)
      return census.members(scope, documentChannel(key), query)
    }
  }
}
export type DocumentPresence = ReturnType<typeof createDocumentPresence>
