import type { Answer, Client } from './clients.ts'

export type SeenMember = {
  socketId: string
  userId: string
  joinedAt: number
  state: unknown
  previousSocketId?: string
}
export type SeenPresence = {
  channel: string
  action: 'join' | 'leave' | 'update'
  member: SeenMember
}
export type SeenMessage = {
  channel?: string
  event: string
  data: unknown
  from: { socketId: string | null, userId: string }
  timestamp: number
}

/** The answer to any channel request. */
export type ChannelAnswer = Answer & { channel: string, members: SeenMember[], delivered: number }

export const ask = async (client: Client, name: string, fields: object) =>
  await client.request(name, fields) as ChannelAnswer

export const messagesOf = (client: Client) =>
  client.messages.filter(({ name }) => name === 'message').map(({ body }) => body as SeenMessage)
export const presenceOf = (client: Client, channel?: string) =>
  client.messages.filter(({ name }) => name === 'presence')
    .map(({ body }) => body as SeenPresence).filter(seen =>
      channel === undefined || seen.channel === channel
    )

export const idOf = (client: Client) => client.socketId() as string

/**
 * Joins a channel. Returns the members as the client sees them from then on: the answer's, updated by every presence
 * message since.
 */
export async function join (client: Client, channel: string, fields: object = {}) {
  let first = 0
  /** Applies the client's own changes, because it gets no presence messages about itself. */
  let own: { state: unknown } | undefined
  const answer = await client.request('join', { channel, ...fields }, () => {
    first = client.messages.length
  }) as ChannelAnswer
  if (!answer.ok) throw new Error(JSON.stringify(answer))
  return {
    answer,
    client,
    async update (state: unknown) {
      const updated = await ask(client, 'presence', { channel, state })
      if (updated.ok) own = { state }
      return updated
    },
    view () {
      const members = new Map(answer.members.map(member => [member.socketId, member]))
      for (const { name, body } of client.messages.slice(first)) {
        const { channel: of, action, member } = body as SeenPresence
        if (name !== 'presence' || of !== channel) continue
        const { previousSocketId, ...now } = member
        if (previousSocketId !== undefined) members.delete(previousSocketId)
        if (action === 'leave') members.delete(now.socketId)
        else members.set(now.socketId, now)
      }
      const self = answer.members.find(({ socketId }) => socketId === idOf(client))
      if (self !== undefined) members.set(self.socketId, { ...self, ...own })
      return [...members.values()].sort((a, b) => a.socketId < b.socketId ? -1 : 1)
    }
  }
}
