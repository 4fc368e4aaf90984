import type { PresenceAction } from '../../schemas/channels.ts'
import { SharedMessage } from '../delivery/shared-message.ts'
import { memberJson, type Member } from './channel.ts'

/** What the members of a channel are told. `previousSocketId`: of a member that is back by another connection. */
export interface PresenceChange { action: PresenceAction, member: Member, previousSocketId?: string | undefined }

/** JSON text, of the message and of the event. */
export const presenceBody = (channel: string, { action, member, previousSocketId }: PresenceChange): string =>
  `{"channel":${JSON.stringify(channel)},"action":"${action}","member":${memberJson(member, previousSocketId)}}`

export const presenceMessage = (body: string): SharedMessage => new SharedMessage('presence', body)
