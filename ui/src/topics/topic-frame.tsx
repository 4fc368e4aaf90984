import { Link } from '@tanstack/react-router'
import { Send } from 'lucide-react'
import type { ReactNode } from 'react'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { Page, type Tab } from '../components/page.tsx'
import { ErrorState, Skeleton } from '../components/states.tsx'
import { isSystemTopic } from './system-topics.ts'

export type Topic = DataOf<'/api/topics/{name}'>

interface TopicFrameProps {
  name: string
  isFilled?: boolean
  actions?: ReactNode
  /** The content. `topic` is null for the platform's own topics, which are not registered. */
  children: (topic: Topic | null) => ReactNode
}

/** The frame of a topic's pages: its name, its tabs, and the state of the topic itself. */
export function TopicFrame ({ name, isFilled = false, actions, children }: TopicFrameProps) {
  const scope = usePageScope()
  const may = useMay()
  const isSystem = isSystemTopic(name)
  const query = useGet('/api/topics/{name}', { path: { name } }, { enabled: !isSystem })
  const params = { ...scope, name }
  const tabs: Tab[] = [
    { label: 'Events', link: { to: `${scopePath}/topics/$name`, params } },
    {
      label: 'Publish',
      link: { to: `${scopePath}/topics/$name/publish`, params },
      isHidden: isSystem || !may('events:create')
    },
    { label: 'Schema', link: { to: `${scopePath}/topics/$name/schema`, params }, isHidden: isSystem },
    { label: 'Subscribers', link: { to: `${scopePath}/topics/$name/subscribers`, params } },
    { label: 'Settings', link: { to: `${scopePath}/topics/$name/settings`, params }, isHidden: isSystem }
  ]
  return (
    <Page
      title={name}
      isFilled={isFilled}
      crumbs={[{ label: 'Topics', link: { to: `${scopePath}/topics`, params: scope } }]}
      tabs={tabs}
      actions={
        <>
          {isSystem && <Badge hasIcon={false}>system topic</Badge>}
          {actions}
          {!isSystem && may('events:create') && (
            <Link
              to={`${scopePath}/topics/$name/publish`}
              params={params}
              className={buttonLook('primary')}
              activeProps={{ className: 'hidden!' }}
            >
              <Send size={14} aria-hidden />
              Publish
            </Link>
          )}
        </>
      }
    >
      <Content query={query} isSystem={isSystem}>
        {children}
      </Content>
    </Page>
  )
}

interface ContentProps {
  query: ReturnType<typeof useGet<'/api/topics/{name}'>>
  isSystem: boolean
  children: (topic: Topic | null) => ReactNode
}

function Content ({ query: { data, error, refetch }, isSystem, children }: ContentProps) {
  if (isSystem) return children(null)
  if (data !== undefined) return children(data)
  if (error !== null) {
    return (
      <ErrorState
        error={error}
        onRetry={() => {
          void refetch()
        }}
      />
    )
  }
  return (
    <div className='p-6'>
      <Skeleton lines={4} />
    </div>
  )
}
