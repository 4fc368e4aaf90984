import type { TSchema } from '@sinclair/typebox'
import { FrameId } from '../../../schemas/socket-frames.ts'
import type { Reference, SchemaComponents } from './schema-components.ts'

/** A message, under its key in the channel. */
interface Message {
  key: string
  /** The name on the wire. */
  name: string
  payload: TSchema
}

/** A message in one direction, and its possible replies. */
export interface Exchange extends Message {
  sender: 'client' | 'server'
  /** Describes the operation. Without it, the description of the payload does. */
  summary?: string
  replies?: Message[]
}

interface MessageObject {
  name: string
  summary: string
  payload: object
  correlationId?: { location: string }
  examples: { payload: unknown }[]
}

interface OperationObject {
  action: 'receive' | 'send'
  channel: Reference
  summary: string
  messages: Reference[]
  reply?: { channel: Reference, messages: Reference[] }
}

/** Returns the messages and operations of a channel. Each operation is named after the channel and its message. */
export function channel (name: string, exchanges: readonly Exchange[], schemas: SchemaComponents) {
  const messages: Record<string, MessageObject> = {}
  const operations: Record<string, OperationObject> = {}
  const self = { $ref: `#/channels/${name}` }
  const refer = (message: Message): Reference => {
    messages[message.key] = toMessage(message, schemas)
    return { $ref: `#/channels/${name}/messages/${message.key}` }
  }
  for (const { replies, sender, summary, ...message } of exchanges) {
    operations[`${name}.${message.key}`] = {
      action: sender === 'client' ? 'receive' : 'send',
      channel: self,
      summary: summary ?? descriptionOf(message.payload),
      messages: [refer(message)],
      ...(replies !== undefined && { reply: { channel: self, messages: replies.map(refer) } })
    }
  }
  return { messages, operations }
}

function toMessage (message: Message, schemas: SchemaComponents): MessageObject {
  const members = membersOf(message.payload)
  return {
    name: message.name,
    summary: descriptionOf(message.payload),
    payload: schemas.add(message.payload),
    ...(members.every(({ properties }) => properties?.['id']?.$id === FrameId.$id) && {
      correlationId: { location: '$message.payload#/id' }
    }),
    examples: members.flatMap(({ examples = [] }) => examples).map(payload => ({ payload }))
  }
}

const descriptionOf = ({ description = '' }: TSchema): string => description

const membersOf = (schema: TSchema): PayloadSchema[] => (schema['anyOf'] as PayloadSchema[] | undefined) ?? [schema]

interface PayloadSchema {
  examples?: unknown[]
  properties?: Record<string, TSchema>
}
