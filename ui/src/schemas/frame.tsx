import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { useGet, useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Page } from '../components/page.tsx'

/** The page of a topic's schema, with its tabs. */
export function SchemaFrame ({
  topic,
  actions,
  isFilled = false,
  children
}: {
  topic: string
  actions?: ReactNode
  isFilled?: boolean
  children: ReactNode
}) {
  const may = useMay()
  const scope = usePageScope()
  const params = { ...scope, topic }
  return (
    <Page
      title={topic}
      crumbs={[{ label: 'Schemas', link: { to: `${scopePath}/schemas`, params: scope } }]}
      actions={actions}
      isFilled={isFilled}
      tabs={[
        { label: 'Versions', link: { to: `${scopePath}/schemas/$topic`, params } },
        {
          label: 'Editor',
          link: { to: `${scopePath}/schemas/$topic/editor`, params },
          isHidden: !may('schemas:create')
        },
        { label: 'Validate', link: { to: `${scopePath}/schemas/$topic/validate`, params } },
        { label: 'Types', link: { to: `${scopePath}/schemas/$topic/types`, params } }
      ]}
    >
      {children}
    </Page>
  )
}

/** The topic, and the versions of its schema with the latest first. */
export function useTopicSchema (topic: string) {
  return {
    topic: useGet('/api/topics/{name}', { path: { name: topic } }),
    versions: useList('/api/schemas/{topic}/versions', {
      path: { topic },
      query: { sort: 'version', order: 'desc' }
    })
  }
}

export type SchemaVersion = NonNullable<ReturnType<typeof useTopicSchema>['versions']['items']>[number]
export type CompatibilityMode = SchemaVersion['compatibilityMode']
export type CompatibilityPolicy = SchemaVersion['policy']

/** The paths that a registered or activated version changes. */
export const schemaPaths = ['/api/schemas', '/api/topics', '/api/asyncapi.json'] as const
