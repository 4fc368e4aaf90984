import { Link } from '@tanstack/react-router'
import { useGet } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { scopeLink } from './links.ts'

/** How many mappings there are, how many are enabled here, and how many have problems. */
export function MappingsSummary () {
  const { environment } = usePageScope()
  const { data } = useGet('/api/database/mappings/status', { query: { limit: 1000 } }, { refetchInterval: 15_000 })
  if (data === undefined) return null
  const enabled = data.filter(({ environments }) => environments[environment]?.active === true)
  const troubled = enabled.filter(({ problems }) => problems.length > 0)
  return (
    <p>
      <Link {...scopeLink('/database/mappings')} className='text-accent underline'>
        {data.length} {data.length === 1 ? 'mapping' : 'mappings'}
      </Link>
      , {enabled.length} enabled in {environment}
      {troubled.length > 0 && <span className='text-warning'>, {troubled.length} of them with problems</span>}
    </p>
  )
}
