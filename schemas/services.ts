import { Type, type Static } from '@sinclair/typebox'
import { Text } from './common.ts'
import { listFields, listShape } from './lists.ts'

export const ServiceName = Type.String({
  minLength: 1,
  maxLength: 63,
  pattern: '^[a-z][a-z0-9_-]*$',
  description: 'The namespace of the documents.',
  examples: ['session']
})

export const Service = Type.Object({
  id: Type.String({ format: 'uuid', examples: ['3f1c2a52-0d4e-4b8e-9c55-0d8a4f0f8f11'] }),
  name: Type.String({ examples: ['session'] }),
  description: Type.Union([Type.String(), Type.Null()], { examples: ['Live sessions'] }),
  applicationId: Type.String({ examples: ['app_abc123'] }),
  createdAt: Type.String({ format: 'date-time', examples: ['2024-01-15T10:00:00.000Z'] }),
  updatedAt: Type.String({ format: 'date-time', examples: ['2024-01-15T10:00:00.000Z'] })
}, { $id: 'Service' })
export type Service = Static<typeof Service>

export const ServiceList = Type.Object({ services: Type.Array(Type.Unsafe<Service>({ $ref: 'Service#' })) })

export const serviceList = listShape('services', {
  sorts: ['name', 'createdAt', 'updatedAt'], order: 'asc', search: ['name', 'description']
})
export const ServiceQuery = Type.Object(listFields(serviceList, 'session'), { additionalProperties: false })
export type ServiceQuery = Static<typeof ServiceQuery>

export const ServiceCreate = Type.Object({
  name: ServiceName,
  description: Type.Optional(Text(2000, { examples: ['Live sessions'] }))
}, { $id: 'ServiceCreate', additionalProperties: false })
export type ServiceCreate = Static<typeof ServiceCreate>

export const ServiceUpdate = Type.Object({
  description: Type.Union([Text(2000), Type.Null()], { examples: ['Live sessions'] })
}, { $id: 'ServiceUpdate', additionalProperties: false })
export type ServiceUpdate = Static<typeof ServiceUpdate>

export const ServicePath = Type.Object({
  id: Type.String({
    format: 'uuid', description: 'Id of the service.', examples: ['3f1c2a52-0d4e-4b8e-9c55-0d8a4f0f8f11']
  })
})
export const ForceQuery = Type.Object({
  force: Type.Optional(Type.Boolean({ default: false, description: 'Also deletes the documents of the service.' }))
}, { additionalProperties: false })
