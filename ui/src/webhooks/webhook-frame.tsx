import type { ReactNode } from 'react'
import { useNavigate } from '@tanstack/react-router'
import { Ellipsis } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button, IconButton } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog, Dialog, Buttons } from '../components/dialog.tsx'
import { Menu, MenuItem, MenuSeparator } from '../components/menu.tsx'
import { Page } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { HealthBadge } from './health.tsx'
import { SecretOnce } from './secret-once.tsx'
import { shortUrl, type Webhook } from './status.ts'

/** The title, actions and tabs that the pages of a webhook share. */
export function WebhookFrame ({
  id,
  actions,
  children
}: {
  id: string
  actions?: ReactNode
  children: (webhook: Webhook) => ReactNode
}) {
  const scope = usePageScope()
  const query = useGet('/api/webhooks/{id}', { path: { id } }, { refetchInterval: 5000 })
  const params = { ...scope, id }
  const tabs = [
    { label: 'Overview', link: { to: `${scopePath}/webhooks/$id`, params } },
    { label: 'Settings', link: { to: `${scopePath}/webhooks/$id/settings`, params } },
    { label: 'Verify', link: { to: `${scopePath}/webhooks/$id/verify`, params } }
  ] as const
  return (
    <Page
      title={query.data === undefined ? id : shortUrl(query.data.url)}
      crumbs={[{ label: 'Webhooks', link: { to: `${scopePath}/webhooks`, params: { ...scope } } }]}
      tabs={tabs}
      actions={
        <>
          {query.data !== undefined && <HealthBadge webhook={query.data} />}
          {actions}
          {query.data !== undefined && <WebhookActions webhook={query.data} />}
        </>
      }
    >
      <Loaded query={query}>{children}</Loaded>
    </Page>
  )
}

/** Enable or disable, rotate the secret, delete. */
function WebhookActions ({ webhook }: { webhook: Webhook }) {
  const { id, active, url } = webhook
  const may = useMay()
  const scope = usePageScope()
  const navigate = useNavigate()
  const [asked, setAsked] = useState<'disable' | 'rotate' | 'delete'>()
  const close = () => setAsked(undefined)
  const invalidates = ['/api/webhooks']
  const path = { params: { path: { id } } }
  const enable = useAction(api => api.POST('/api/webhooks/{id}/activate', path), {
    invalidates,
    done: 'Webhook enabled'
  })
  const disable = useAction(api => api.POST('/api/webhooks/{id}/deactivate', path), {
    invalidates,
    done: 'Webhook disabled',
    onDone: close
  })
  const remove = useAction(api => api.DELETE('/api/webhooks/{id}', path), {
    invalidates,
    done: 'Webhook deleted',
    onDone: () => navigate({ to: `${scopePath}/webhooks`, params: { ...scope } })
  })
  const verb = active ? 'deactivate' : 'activate'
  return (
    <>
      <CopyAs
        request={{
          method: 'POST',
          path: may('webhooks:update') ? `/api/webhooks/{id}/${verb}` : '/api/webhooks/{id}',
          params: { id },
          ...(may('webhooks:update') ? {} : { method: 'GET' })
        }}
      />
      {may('webhooks:update') &&
        (active
          ? (
            <Button onClick={() => setAsked('disable')}>Disable</Button>
            )
          : (
            <Button kind='primary' isBusy={enable.isPending} onClick={() => enable.mutate(undefined)}>
              Enable
            </Button>
            ))}
      {(may('webhooks:update') || may('webhooks:delete')) && (
        <Menu trigger={<IconButton label='More actions' icon={<Ellipsis size={16} />} />}>
          {may('webhooks:update') && <MenuItem onSelect={() => setAsked('rotate')}>Rotate secret…</MenuItem>}
          {may('webhooks:delete') && (
            <>
              <MenuSeparator />
              <MenuItem isDanger onSelect={() => setAsked('delete')}>
                Delete webhook…
              </MenuItem>
            </>
          )}
        </Menu>
      )}
      <ConfirmDialog
        title='Disable webhook'
        isOpen={asked === 'disable'}
        onClose={close}
        onConfirm={() => disable.mutate(undefined)}
        verb='Disable webhook'
        name={shortUrl(url)}
        isBusy={disable.isPending}
      >
        Events that are published while it is disabled are not delivered, also not later. Pending deliveries wait.
      </ConfirmDialog>
      <ConfirmDialog
        title='Delete webhook'
        isOpen={asked === 'delete'}
        onClose={close}
        onConfirm={() => remove.mutate(undefined)}
        verb='Delete webhook'
        name={shortUrl(url)}
        isBusy={remove.isPending}
      >
        Deletes <strong className='text-text'>{shortUrl(url)}</strong> with its deliveries and its log of attempts.
      </ConfirmDialog>
      <RotateDialog key={String(asked === 'rotate')} webhook={webhook} isOpen={asked === 'rotate'} onClose={close} />
    </>
  )
}

function RotateDialog ({ webhook, isOpen, onClose }: { webhook: Webhook; isOpen: boolean; onClose: () => void }) {
  const [secret, setSecret] = useState<string>()
  const { id } = webhook
  const rotate = useAction(
    api => api.POST('/api/webhooks/{id}/rotate-secret', { params: { path: { id } }, body: {} }),
    { invalidates: ['/api/webhooks'], onDone: result => setSecret(result.secret) }
  )
  return (
    <Dialog title='Rotate secret' isOpen={isOpen} onClose={onClose}>
      <div className='grid gap-4'>
        {secret === undefined
          ? (
            <p className='text-muted'>
              A new secret is generated. For 24 hours, requests carry signatures of both, so that the endpoint can
              change over without a failure.
            </p>
            )
          : (
            <SecretOnce secret={secret} note='The earlier secret signs beside it for 24 hours.' />
            )}
        <Buttons>
          <CopyAs request={{ method: 'POST', path: '/api/webhooks/{id}/rotate-secret', params: { id }, body: {} }} />
          <Button onClick={onClose}>{secret === undefined ? 'Cancel' : 'Close'}</Button>
          {secret === undefined && (
            <Button kind='primary' isBusy={rotate.isPending} onClick={() => rotate.mutate(undefined)}>
              Rotate secret
            </Button>
          )}
        </Buttons>
      </div>
    </Dialog>
  )
}
