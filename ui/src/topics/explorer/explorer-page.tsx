import { useNavigate } from '@tanstack/react-router'
import { topicRoute } from '../routes.ts'
import { TopicFrame } from '../topic-frame.tsx'
import { Explorer } from './explorer.tsx'

/** The events of a topic. */
export function ExplorerPage () {
  const { name } = topicRoute.useParams()
  const search = topicRoute.useSearch()
  const navigate = useNavigate({ from: topicRoute.fullPath })
  return (
    <TopicFrame name={name} isFilled>
      {topic => (
        <Explorer
          key={name}
          topic={name}
          isSystem={topic === null}
          search={search}
          onChange={(changes, isStep = false) => {
            void navigate({ search: current => ({ ...current, ...changes }), replace: !isStep })
          }}
        />
      )}
    </TopicFrame>
  )
}
