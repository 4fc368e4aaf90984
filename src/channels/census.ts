import type { ChannelMember, ChannelQuery, ChannelSummary, MemberQuery } from '../../schemas/channels.ts'
import type { Scope } from '../../schemas/scope.ts'
import { authorize } from '../identity/access/permissions.ts'
import type { Principal } from '../identity/access/principal.ts'
import { mayReadChannel } from '../identity/access/reading.ts'
import type { PageOf } from '../foundation/paging.ts'
import type { Directory } from './directory.ts'
import type { Reached, RemoteSockets } from './remote-sockets.ts'

/** A page, and the number of running nodes that it does not cover. */
export type Counted<T> = PageOf<T> & { missing: number }

/** Creates the view of channels, members and connections of all nodes, for REST. */
export function createCensus ({ directory, remote }: { directory: Directory, remote: RemoteSockets }) {
  return {
    mayKnow: mayReadChannel,

    /** Lists the channels that the principal may see. Document channels need `documents:read`. */
    channels: (principal: Principal, scope: Scope, query: ChannelQuery): Counted<ChannelSummary> => ({
      ...directory.channels(scope, query, name => mayReadChannel(principal, scope, name)),
      missing: remote.incomplete
    }),

    /** Lists the members of a channel that a client names. Throws ForbiddenError `PERMISSION_DENIED`. */
    membersFor (principal: Principal, scope: Scope, name: string, query: MemberQuery): Counted<ChannelMember> {
      if (!mayReadChannel(principal, scope, name)) authorize(principal, scope, 'documents:read')
      return this.members(scope, name, query)
    },

    members: (scope: Scope, name: string, query: MemberQuery): Counted<ChannelMember> => ({
      ...directory.members(scope, name, query),
      missing: remote.incomplete
    }),

    async connections (scope: Scope): Promise<Reached> {
      const elsewhere = await remote.connections(scope)
      return { count: directory.connectionCount(scope) + elsewhere.count, missing: elsewhere.missing }
    }
  }
}
export type Census = ReturnType<typeof createCensus>
