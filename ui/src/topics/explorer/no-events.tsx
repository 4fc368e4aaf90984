import { useMay } from '../../app/me.ts'
import { usePageScope } from '../../app/scope.ts'
import { CodeBlock } from '../../components/code.tsx'
import { toCurl } from '../../components/copy-as.tsx'
import { Empty } from '../../components/states.tsx'

interface NoEventsProps {
  topic: string
  isSystem: boolean
  isFiltered: boolean
}

/** Nothing is in the log, or nothing matches. New events appear here as they arrive. */
export function NoEvents ({ topic, isSystem, isFiltered }: NoEventsProps) {
  const scope = usePageScope()
  const may = useMay()
  if (isFiltered) {
    return <Empty title='No event matches the filter'>Events that match appear here as they arrive.</Empty>
  }
  if (isSystem) return <Empty title='No event yet'>The platform writes the events of this topic.</Empty>
  const request = {
    method: 'POST',
    path: '/api/topics/{name}/events',
    params: { name: topic },
    body: { payload: { total: 42 }, key: 'customer-1' }
  } as const
  return (
    <Empty title='No event yet'>
      {may('events:create')
        ? (
          <>
            <p className='mb-3'>Publish one here, or with the API. It appears in this list at once.</p>
            <CodeBlock text={toCurl(request, scope)} className='text-left' />
          </>
          )
        : (
            'Events appear here as they are published.'
          )}
    </Empty>
  )
}
