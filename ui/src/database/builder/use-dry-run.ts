import { unwrap } from '@realtime-platform/client/admin'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { apiFor, scopeKey } from '../../app/api.ts'
import { usePageScope } from '../../app/scope.ts'
import type { Definition, Operation } from './definition.ts'
import { useDebounced } from './use-debounced.ts'

/** A topic that a mapping without one is previewed with. */
const noTopic = 'preview'

const withTopic = (definition: Definition): Definition =>
  definition.topic === '' ? { ...definition, topic: noTopic } : definition

export interface RowChange {
  operation: Operation
  row: Record<string, unknown>
  oldRow?: Record<string, unknown>
}

/** Asks the server, while one types, which event a mapping would make of a change. */
export function usePreview (definition: Definition | undefined, change: RowChange | undefined) {
  const scope = usePageScope()
  const text = useDebounced(
    definition === undefined || change === undefined
      ? ''
      : JSON.stringify({ mapping: withTopic(definition), ...change })
  )
  return useQuery({
    queryKey: ['/api/database/mappings/preview', scopeKey(scope), text],
    enabled: text !== '',
    placeholderData: keepPreviousData,
    queryFn: () =>
      unwrap(
        apiFor(scope).POST('/api/database/mappings/preview', {
          body: JSON.parse(text) as { mapping: Definition } & RowChange
        })
      )
  })
}

/** Checks a mapping as saving it would, while one types: the problems of its table, or the refusal. */
export function useCheck (definition: Definition | undefined) {
  const scope = usePageScope()
  const text = useDebounced(definition === undefined ? '' : JSON.stringify(withTopic(definition)), 500)
  return useQuery({
    queryKey: ['/api/database/mappings/check', scopeKey(scope), text],
    enabled: text !== '',
    placeholderData: keepPreviousData,
    queryFn: () =>
      unwrap(apiFor(scope).POST('/api/database/mappings/check', { body: JSON.parse(text) as Definition }))
  })
}
