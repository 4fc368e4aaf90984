import type { ChannelMember, ChannelSummary } from '../../schemas/channels.ts'
import type { PageQuery } from '../../schemas/common.ts'
import type { Scope } from '../../schemas/scope.ts'
import { authorize } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { mayReadChannel } from '../identity/access/reading.ts'
import type { PageOf } from '../foundation/paging.ts'
import type { Directory } from './directory.ts'
import type { Reached, RemoteSockets } from './remote-sockets.ts'

/** `missing`: nodes that are there and that the answer does not cover. */
export type Counted<T> = PageOf<T> & { missing: number }

/** What there is on all nodes together, seen from outside. */
export function createCensus ({ directory, remote }: { directory: Directory, remote: RemoteSockets | undefined }) {
  return {
    mayKnow: mayReadChannel,

    /** Those that the principal may know of: without `sync:read`, none of a document. */
    channels: (principal: Principal, scope: Scope, query: PageQuery): Counted<ChannelSummary> => ({
      ...directory.channels(scope, query, name => mayReadChannel(principal, scope, name)),
      missing: remote?.incomplete ?? 0
    }),

    /** As `members`, for whoever asks for a channel by its name. Throws ForbiddenError `PERMISSION_DENIED`. */
    membersFor (principal: Principal, scope: Scope, name: string, query: PageQuery): Counted<ChannelMember> {
      if (!mayReadChannel(principal, scope, name)) authorize(principal, scope, 'sync:read')
      return this.members(scope, name, query)
    },

    members: (scope: Scope, name: string, query: PageQuery): Counted<ChannelMember> => ({
      ...directory.members(scope, name, query),
      missing: remote?.incomplete ?? 0
    }),

    async connections (scope: Scope): Promise<Reached> {
      const elsewhere = await remote?.connections(scope) ?? { count: 0, missing: 0 }
      return { count: directory.connectionCount(scope) + elsewhere.count, missing: elsewhere.missing }
    }
  }
}
export type Census = ReturnType<typeof createCensus>
