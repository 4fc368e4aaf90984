import type { ChannelMember, Filter, RealtimeEvent, ReturnMode, Sender } from '../protocol/protocol.ts'

/* How a TopicMap, such as that of `GET /api/schemas/types.ts`, types topics, payloads and filters. */

/** The payload of a `sync.<service>.created`, `.updated` or `.deleted` event, with `returnMode: 'full'`. */
export interface DocumentPayload<Data = unknown> {
  service: string
  id: string
  revision: number
  data: Data
  createdAt: number
  updatedAt: number
  /** Only if the document was deleted. `data` is what it was before. */
  deleted?: true
  reason?: 'deleted' | 'expired'
}

/** The payload of a document event with `returnMode: 'diff'`. */
export interface DocumentDiffPayload {
  service: string
  id: string
  revision: number
  previousRevision: number | null
  /** A JSON Patch (RFC 6902) from the data before to the data after. */
  diff: JsonPatchOperation[]
  deleted?: true
  reason?: 'deleted' | 'expired'
}
export type JsonPatchOperation =
  | { op: 'add' | 'replace' | 'test', path: string, value: unknown }
  | { op: 'remove', path: string }
  | { op: 'move' | 'copy', from: string, path: string }

/** The payload of `alert.firing` and `alert.resolved` on `system.alert` (docs/ALERTS.md). */
export interface AlertPayload {
  id: string
  rule: string
  severity: 'critical' | 'warning' | 'info'
  status: 'firing' | 'resolved'
  summary: string
  details: {
    target?: { type: string, id: string }
    value?: number
    threshold?: number
    unit?: string
    runbook?: string
  }
  startedAt: number
  resolvedAt: number | null
  resolution: 'cleared' | 'rule_disabled' | null
}

interface SocketPayload { socketId: string, userId: string, transport: string }

/** The topics that exist without a registration (docs/PROTOCOL.md). */
export interface PlatformTopics {
  [topic: `sync.${string}.created`]: DocumentPayload
  [topic: `sync.${string}.updated`]: DocumentPayload
  [topic: `sync.${string}.deleted`]: DocumentPayload
  'socket.message': { channel?: string, socketId?: string, event: string, data: unknown, from: Sender }
  'socket.connect': SocketPayload
  'socket.disconnect': SocketPayload
  'presence.updated': { channel: string, action: 'join' | 'update' | 'leave', member: ChannelMember }
  'system.alert': AlertPayload
}

type IsAny<T> = 0 extends 1 & T ? true : false
type IsUnknown<T> = unknown extends T ? true : false

/** Topics of a TopicMap. Without one, any text. */
export type TopicName<Map> = Extract<keyof Map, string>

/** A pattern of topics, such as `order.*`. */
export type TopicPattern = `${string}*${string}`

/** A topic of a TopicMap, one of the platform's own, or a pattern, which is not checked against them. */
export type AnyTopic<Map> = TopicName<Map> | Extract<keyof PlatformTopics, string> | TopicPattern

/** Whether a topic matches a pattern: `*` is one segment, `**` at the end one or more. */
type Matches<Topic, Pattern> =
  Pattern extends '**' ? true
    : Topic extends `${infer First}.${infer Rest}`
      ? Pattern extends `${infer P}.${infer PatternRest}`
        ? P extends '*' | First ? Matches<Rest, PatternRest> : false
        : false
      : Pattern extends '*' | Topic ? true : false

type MatchingTopics<Map, Pattern> = { [T in keyof Map]: Matches<T, Pattern> extends true ? T : never }[keyof Map]

/** The names that `client.topic` accepts: those of the map, the platform's own, and patterns that match one of them. */
export type TopicArgument<Map, Name extends string> =
  IsAny<Map> extends true ? Name
    : Name extends keyof Map | keyof PlatformTopics ? Name
      : Name extends TopicPattern
        ? [MatchingTopics<Map, Name> | MatchingTopics<PlatformTopics, Name>] extends [never] ? never : Name
        : never

/** The payload of a topic. For a pattern, the union of the payloads of the topics that match. */
export type PayloadOf<Map, Name extends string> = EventOf<Map, Name>['payload']

/** The event of a topic. For a pattern, a union that `topic` tells apart. */
export type EventOf<Map, Name extends string> =
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- Without a TopicMap, payloads are unchecked.
  IsAny<Map> extends true ? RealtimeEvent<any>
    : Name extends keyof Map ? TopicEvent<Map[Name], Name>
      : Name extends TopicPattern
        ? EventsOf<Map, MatchingTopics<Map, Name>> | EventsOf<PlatformTopics, MatchingTopics<PlatformTopics, Name>>
        : Name extends keyof PlatformTopics ? TopicEvent<PlatformTopics[Name], Name> : RealtimeEvent

type EventsOf<Map, Name extends keyof Map> = Name extends string ? TopicEvent<Map[Name], Name> : never

/** An event of a topic that is known by name. */
export type TopicEvent<Payload, Name extends string = string> = RealtimeEvent<Payload> & { topic: Name }

/** The event in a return mode: documents have other payloads in other modes. */
export type InMode<Event extends RealtimeEvent, Mode extends ReturnMode> =
  IsAny<Event['payload']> extends true ? Event
    : Event extends { payload: DocumentPayload<infer Data> }
      ? Omit<Event, 'payload'> & { payload: InModes<Event['payload'], Data>[Mode] }
      : Event

interface InModes<Full, Data> {
  full: Full
  diff: DocumentDiffPayload
  both: DocumentPayload<Data> & DocumentDiffPayload
}

/**
 * A filter on a payload: paths into it, each with a value or operators (docs/PROTOCOL.md#filters). Paths are checked
 * down to five levels, and below that, or below parts of an unknown type, they are not.
 */
export type FilterOf<Payload> =
  IsAny<Payload> extends true ? Filter
    : IsUnknown<Payload> extends true ? Filter
      : { [Path in PathsOf<Payload>]?: Condition<At<Payload, Path>> }

type Scalar = string | number | boolean | null | undefined

type PathsOf<T, Depth extends unknown[] = []> =
  IsAny<T> extends true ? string
    : IsUnknown<T> extends true ? string
      : T extends Scalar ? never
        : Depth['length'] extends 5 ? string
          : T extends readonly (infer Element)[] ? Below<`${number}`, Element, Depth>
            : { [Key in keyof T & string]: Below<Key, T[Key], Depth> }[keyof T & string]

type Below<Key extends string, T, Depth extends unknown[]> = Key | `${Key}.${PathsOf<T, [...Depth, unknown]>}`

/** The type at a path; of a union, that of each member which has the path. */
type At<T, Path extends string> =
  IsAny<T> extends true ? unknown
    : T extends readonly (infer Element)[]
      ? Path extends `${number}.${infer Rest}` ? At<Element, Rest> : Element
      : Path extends keyof T ? T[Path]
        : Path extends `${infer Key}.${infer Rest}` ? Key extends keyof T ? At<T[Key], Rest> : never : never

type Condition<T> =
  IsUnknown<T> extends true ? unknown : Extract<T, Exclude<Scalar, undefined>> | Operators<Exclude<T, undefined>>

export interface Operators<T> {
  eq?: T
  ne?: T
  in?: readonly T[]
  exists?: boolean
  gt?: Ordered<T>
  gte?: Ordered<T>
  lt?: Ordered<T>
  lte?: Ordered<T>
  /** The text begins with this. */
  prefix?: T extends string ? string : never
}
type Ordered<T> = T extends number ? number : T extends string ? string : never
