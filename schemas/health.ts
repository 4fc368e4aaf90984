import { Type, type Static } from '@sinclair/typebox'
import { Enum } from './common.ts'

export const Health = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String({ description: 'The version of the platform.', examples: ['0.1.0'] }),
  node: Type.String({
    description: 'The id of the process, as in traces, metrics and the log. Each start has another.',
    examples: ['node_0Zs9dPjqJ5Cw3RmA']
  })
}, { $id: 'Health' })
export type Health = Static<typeof Health>

export const Component = Type.Object({
  status: Enum('ComponentStatus', ['ok', 'degraded', 'failed'], {
    description: '`degraded`: a part of the component does not work; the server stays ready.'
  }),
  message: Type.Optional(Type.String()),
  heartbeatAgeMs: Type.Optional(Type.Integer({ description: 'Milliseconds since the component last responded.' })),
  oldestWaitingMs: Type.Optional(
    Type.Integer({ description: 'Milliseconds for which the oldest undelivered item has waited.' })
  ),
  depth: Type.Optional(Type.Integer({ description: 'Number of waiting items.' }))
}, { $id: 'Component' })
export type Component = Static<typeof Component>

export const Readiness = Type.Object({
  status: Enum('ReadinessStatus', ['ready', 'unavailable']),
  components: Type.Record(Type.String(), Type.Unsafe<Component>({ $ref: 'Component#' }))
}, { $id: 'Readiness' })
export type Readiness = Static<typeof Readiness>
