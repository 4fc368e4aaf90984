import { Link } from '@tanstack/react-router'
import { useGet } from '../app/queries.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Badge } from '../components/badge.tsx'
import { Person } from '../components/person.tsx'
import { Section } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { Time } from '../components/time.tsx'

/** The deployments that wait for an approval or to be applied. */
export function OpenDeployments () {
  const link = useScopedLink()
  const options = { refetchInterval: 30_000 }
  const open = useGet('/api/deployments', { query: { status: 'open', limit: 5 } }, options)
  const approved = useGet('/api/deployments', { query: { status: 'approved', limit: 5 } }, options)
  return (
    <Section
      title='Open deployments'
      isPlain
      actions={
        <Link {...link('/deployments')} className='text-accent hover:underline'>
          All deployments
        </Link>
      }
    >
      <Loaded query={open}>
        {openOnes => {
          const shown = [...(approved.data ?? []), ...openOnes]
          if (shown.length === 0) return <p className='p-3 text-muted'>No deployment is open.</p>
          return (
            <ul>
              {shown.map(({ id, title, source, target, status, createdBy, createdAt }) => (
                <li key={id} className='grid gap-0.5 border-b border-line/60 px-3 py-2 last:border-0'>
                  <span className='flex items-center justify-between gap-2'>
                    <Link
                      {...link('/deployments/$id', { params: { id } })}
                      className='min-w-0 truncate font-medium hover:underline'
                    >
                      {title}
                    </Link>
                    <Badge tone={status === 'approved' ? 'ok' : 'info'}>{status}</Badge>
                  </span>
                  <span className='text-xs text-muted'>
                    {source} → {target} · by <Person id={createdBy} /> · <Time at={createdAt} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }}
      </Loaded>
    </Section>
  )
}
