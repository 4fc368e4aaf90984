import { Link, Outlet } from '@tanstack/react-router'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Page } from '../components/page.tsx'
import { documentOf } from './channels.ts'
import { channelRoute } from './routes.ts'
import { useWatchOf, WatchProvider } from './watch.ts'

/** One channel: its members, and its messages once they are watched. */
export function ChannelPage () {
  const { channel } = channelRoute.useParams()
  return <Channel key={channel} name={channel} />
}

function Channel ({ name }: { name: string }) {
  const scope = usePageScope()
  const may = useMay()
  const watch = useWatchOf(name)
  const { mode, setMode, membership } = watch
  const document = documentOf(name)
  const params = { ...scope, channel: name }
  return (
    <Page
      title={name}
      crumbs={[{ label: 'Channels', link: { to: `${scopePath}/channels`, params: { ...scope } } }]}
      description={
        document === undefined
          ? undefined
          : (
            <>
              The clients that view the document{' '}
              <Link to={`${scopePath}/documents`} params={{ ...scope }} className='text-accent hover:underline'>
                {document.service}/{document.id}
              </Link>
            </>
            )
      }
      isFilled
      actions={
        <>
          {mode === 'join' && (
            <Badge
              tone={membership.status === 'joined' ? 'ok' : membership.status === 'failed' ? 'critical' : 'warning'}
            >
              {membership.status === 'joined' ? 'you are a member' : membership.status}
            </Badge>
          )}
          <CopyAs
            request={{ method: 'GET', path: '/api/socket/channels/{channel}/members', params: { channel: name } }}
          />
          {mode === 'join'
            ? (
              <Button onClick={() => setMode(undefined)}>Leave</Button>
              )
            : (
                may('events:read') && (
                  <Button
                    onClick={() => setMode('join')}
                    title='This page becomes a member that the others see. It receives the messages of the channel.'
                  >
                    Join and watch
                  </Button>
                )
              )}
        </>
      }
      tabs={[
        { label: 'Members', link: { to: `${scopePath}/channels/$channel`, params } },
        { label: 'Messages', link: { to: `${scopePath}/channels/$channel/messages`, params } }
      ]}
    >
      <WatchProvider value={watch}>
        <Outlet />
      </WatchProvider>
    </Page>
  )
}
