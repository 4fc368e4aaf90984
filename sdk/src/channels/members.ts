import { backoffMs, sleep } from '../backoff.ts'
import type { ChannelMember, JoinAnswer, Messages } from '../protocol/protocol.ts'
import type { Rest } from '../rest/rest.ts'

/**
 * The members of a channel: those of the answer to `join`, changed by every presence message since
 * (docs/PROTOCOL.md#members-and-presence).
 */
export class Members {
  #byId = new Map<string, ChannelMember>()
  #list: readonly ChannelMember[] | undefined
  /** How many members there are, while not all are listed. */
  #count: number | undefined
  /** The ids that presence messages have named since a truncated answer. */
  #changed = new Set<string>()

  /** All members, by the time of joining. The same array until a member changes. */
  get list (): readonly ChannelMember[] {
    this.#list ??= Object.freeze([...this.#byId.values()].sort(byAge))
    return this.#list
  }

  get count (): number { return this.#count ?? this.#byId.size }

  get (socketId: string | undefined): ChannelMember | undefined {
    return this.#byId.get(socketId ?? '')
  }

  /** Replaces all members by those of an answer. */
  begin ({ members, memberCount }: Pick<JoinAnswer, 'members' | 'memberCount'>): void {
    this.#byId = new Map(members.map(member => [member.socketId, member]))
    this.#count = memberCount
    this.#changed = new Set()
    this.#list = undefined
  }

  apply ({ action, member: { previousSocketId, ...member } }: Messages['presence']): void {
    const { socketId } = member
    this.#list = undefined
    for (const id of [previousSocketId ?? socketId, socketId]) {
      this.#byId.delete(id)
      this.#changed.add(id)
    }
    if (action !== 'leave') this.#byId.set(socketId, member)
    if (this.#count !== undefined && action !== 'update') this.#count += action === 'join' ? 1 : -1
  }

  /** The server sends no presence message to the member itself. */
  setState (socketId: string | undefined, state: unknown): void {
    const member = this.get(socketId)
    if (member === undefined) return
    this.#byId.set(member.socketId, { ...member, state })
    this.#changed.add(member.socketId)
    this.#list = undefined
  }

  /**
   * Completes a truncated answer with pages of `GET /api/socket/channels/:channel/members`. Presence messages that have
   * arrived since the answer are newer than a page, or arrive again as a change of it, so they win. A node that is a
   * moment behind shows in the count, and is read again.
   */
  async complete (rest: Rest, channel: string, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; this.#count !== undefined; attempt++) {
      const read = await readMembers(rest, channel, signal)
      signal.throwIfAborted()
      for (const id of this.#changed) {
        const member = this.#byId.get(id)
        if (member === undefined) read.delete(id)
        else read.set(id, member)
      }
      this.#byId = read
      this.#list = undefined
      if (read.size === this.#count || attempt === 3) this.#count = undefined
      else await sleep(backoffMs(attempt, { baseMs: 500 }), signal)
    }
  }
}

const byAge = (a: ChannelMember, b: ChannelMember) => a.joinedAt - b.joinedAt || (a.socketId < b.socketId ? -1 : 1)

async function readMembers (rest: Rest, channel: string, signal: AbortSignal): Promise<Map<string, ChannelMember>> {
  const read = new Map<string, ChannelMember>()
  let cursor: string | undefined
  do {
    const { body, headers } = await rest.send<ChannelMember[]>(
      'GET', `/api/socket/channels/${encodeURIComponent(channel)}/members`, { query: { limit: 1000, cursor }, signal }
    )
    for (const member of body) read.set(member.socketId, member)
    cursor = headers.get('x-next-cursor') ?? undefined
  } while (cursor !== undefined)
  return read
}
