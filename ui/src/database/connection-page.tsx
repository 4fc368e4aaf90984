import { useNavigate } from '@tanstack/react-router'
import { useGet } from '../app/queries.ts'
import { useMay } from '../app/me.ts'
import { ErrorState, Skeleton } from '../components/states.tsx'
import { CodeBlock } from '../components/code.tsx'
import { toCurl } from '../components/copy-as.tsx'
import { usePageScope } from '../app/scope.ts'
import { ConnectionForm } from './connection-form.tsx'
import { ConnectionStatus } from './connection-status.tsx'
import { DatabaseFrame } from './frame.tsx'
import { connectionRoute } from './routes.ts'

/** The connected database: its reader's state, or the wizard that connects one. */
export function ConnectionPage () {
  const { change } = connectionRoute.useSearch()
  const navigate = useNavigate({ from: connectionRoute.fullPath })
  const connection = useGet('/api/database/connection', undefined, {
    refetchInterval: query => (query.state.data?.state === 'connecting' ? 1000 : 5000)
  })
  const may = useMay()
  const close = () => {
    void navigate({ search: { change: undefined } })
  }
  if (connection.error?.code === 'CONNECTION_NOT_FOUND') {
    return <DatabaseFrame>{may('mappings:update') ? <Wizard /> : <NoDatabase />}</DatabaseFrame>
  }
  if (connection.data === undefined) {
    return (
      <DatabaseFrame>
        {connection.error === null
          ? (
            <Skeleton lines={6} />
            )
          : (
            <ErrorState
              error={connection.error}
              onRetry={() => {
                void connection.refetch()
              }}
            />
            )}
      </DatabaseFrame>
    )
  }
  return (
    <DatabaseFrame>
      {change === true && may('mappings:update')
        ? (
          <ConnectionForm current={connection.data} onDone={close} onCancel={close} />
          )
        : (
          <ConnectionStatus connection={connection.data} />
          )}
    </DatabaseFrame>
  )
}

function Wizard () {
  return (
    <div className='mx-auto grid max-w-3xl gap-4'>
      <div>
        <h2 className='text-lg font-semibold'>Connect a PostgreSQL database</h2>
        <p className='text-muted'>
          The platform reads its logical replication stream and never writes to its tables. PostgreSQL 14 or later.
        </p>
      </div>
      <ConnectionForm onDone={() => {}} />
    </div>
  )
}

function NoDatabase () {
  const scope = usePageScope()
  const body = { connectionString: 'postgres://realtime:PASSWORD@db.internal:5432/shop?sslmode=require' }
  return (
    <div className='mx-auto grid max-w-xl gap-3 py-8 text-center'>
      <h2 className='text-lg font-semibold'>No database is connected in {scope.environment}</h2>
      <p className='text-muted'>
        Your roles do not allow you to connect one. Somebody with the permission{' '}
        <code className='font-mono text-text'>mappings:update</code> can do it here, or with the API:
      </p>
      <CodeBlock
        text={toCurl({ method: 'PUT', path: '/api/database/connection', body }, scope)}
        className='text-left'
      />
    </div>
  )
}
