import type { ChannelMember, ChannelSummary } from '../../schemas/channels.ts'
import type { PageQuery } from '../../schemas/common.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { PageOf } from '../paging.ts'
import type { Directory } from './directory.ts'
import type { Reached, RemoteSockets } from './remote-sockets.ts'

/** `missing`: nodes that are there and that the answer does not cover. */
export type Counted<T> = PageOf<T> & { missing: number }

/** What there is on all nodes together, seen from outside. */
export function createCensus ({ directory, remote }: { directory: Directory, remote: RemoteSockets | undefined }) {
  return {
    channels: (scope: Scope, query: PageQuery): Counted<ChannelSummary> => ({ ...directory.channels(scope, query), missing: remote?.incomplete ?? 0 }),

    members: (scope: Scope, name: string, query: PageQuery): Counted<ChannelMember> => ({ ...directory.members(scope, name, query), missing: remote?.incomplete ?? 0 }),

    async connections (scope: Scope): Promise<Reached> {
      const elsewhere = await remote?.connections(scope) ?? { count: 0, missing: 0 }
      return { count: directory.connectionCount(scope) + elsewhere.count, missing: elsewhere.missing }
    }
  }
}
export type Census = ReturnType<typeof createCensus>
