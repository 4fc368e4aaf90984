import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { mayIn, useMe } from '../app/me.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import type { SigningKey } from './signing-keys.tsx'

const actions = {
  rotate: {
    verb: 'Rotate key',
    done: 'Key rotated',
    permission: 'keys:update',
    text: 'A new key of the same algorithm signs from then on. Tokens of this key stay valid until they expire.'
  },
  deactivate: {
    verb: 'Deactivate key',
    done: 'Key deactivated',
    permission: 'keys:update',
    text: 'It signs no more tokens. Those that it has signed stay valid until they expire.'
  },
  revoke: {
    verb: 'Revoke key',
    done: 'Key revoked',
    permission: 'keys:delete',
    text: 'All tokens of the key are refused at once, in every application, and their sockets close within two seconds.'
  }
} as const
type Name = keyof typeof actions

/** Rotates, deactivates or revokes a signing key, after a confirmation. */
export function SigningKeyActions ({ signingKey: { keyId, active } }: { signingKey: SigningKey }) {
  const me = useMe()
  const [asked, setAsked] = useState<Name>()
  const params = { params: { path: { id: keyId } } }
  const close = () => setAsked(undefined)
  const act = useAction(
    async (api, name: Name) =>
      name === 'rotate'
        ? await api.POST('/api/admin/keys/{id}/rotate', params)
        : name === 'deactivate'
          ? await api.POST('/api/admin/keys/{id}/deactivate', params)
          : await api.POST('/api/admin/keys/{id}/revoke', params),
    { invalidates: ['/api/admin/keys'], scope: null, done: (_, name) => actions[name].done, onDone: close }
  )
  const names = (Object.keys(actions) as Name[]).filter(
    name => (active || name === 'revoke') && me !== undefined && mayIn(me, null, actions[name].permission)
  )
  return (
    <div className='flex flex-wrap gap-2'>
      {names.map(name => (
        <span key={name} className='flex'>
          <Button kind={name === 'revoke' ? 'danger' : 'normal'} onClick={() => setAsked(name)}>
            {actions[name].verb}
          </Button>
          <CopyAs request={{ method: 'POST', path: `/api/admin/keys/{id}/${name}`, params: { id: keyId } }} />
        </span>
      ))}
      {asked !== undefined && (
        <ConfirmDialog
          title={`${actions[asked].verb} ${keyId}`}
          name={keyId}
          verb={actions[asked].verb}
          isOpen
          onClose={close}
          onConfirm={() => act.mutate(asked)}
          isBusy={act.isPending}
        >
          {actions[asked].text}
        </ConfirmDialog>
      )}
    </div>
  )
}
