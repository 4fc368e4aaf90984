import type { DataOf, Scope } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'

export type ChannelMember = ItemOf<DataOf<'/api/socket/channels/{channel}/members'>>

const documentPrefix = 'doc:'

/** Returns whether the channel belongs to the viewers of a document. */
export const isDocumentChannel = (name: string): boolean => name.startsWith(documentPrefix)

/** Returns the document of a channel, or undefined if it belongs to none. */
export function documentOf (channel: string): { service: string; id: string } | undefined {
  const [, service, id] = /^doc:([^:]+):(.+)$/.exec(channel) ?? []
  return service === undefined || id === undefined ? undefined : { service, id }
}

/** Returns code of the client library that uses a channel. */
export const channelCode = ({ applicationId, environment }: Scope, last: string, name = 'chat:room1'): string =>
  [
    "import { RealtimeClient } from '@realtime-platform/client'",
    '',
    'const client = new RealtimeClient({',
    `  url: '${location.origin}', token: process.env.TOKEN,`,
    `  applicationId: '${applicationId}', environment: '${environment}'`,
    '})',
    `const channel = client.channel(${JSON.stringify(name)})`,
    last
  ].join('\n')
