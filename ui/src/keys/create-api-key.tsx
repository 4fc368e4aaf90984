import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { SelectField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { emptyGrant, permissionsOf, type Grant } from './grant.ts'
import { GrantPicker, Once, PinToEnvironment } from './grant-picker.tsx'

interface Body {
  name: string
  permissions: string[]
  environment?: 'development' | 'staging' | 'production'
  expiresAt?: number
}

const lifetimes = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'a year' },
  { value: 'never', label: 'Never' }
] as const

const initial: { name: string; grant: Grant; isPinned: boolean; lifetime: (typeof lifetimes)[number]['value'] } = {
  name: '',
  grant: { ...emptyGrant, level: 'service' },
  isPinned: true,
  lifetime: '90'
}

/** Creates an API key, then shows it once. */
export function CreateApiKey ({ onClose }: { onClose: () => void }) {
  const { environment } = usePageScope()
  const [key, setKey] = useState<string>()
  const create = useAction((api, body: Body) => api.POST('/api/api-keys', { body }), {
    invalidates: ['/api/api-keys'],
    isErrorShown: true
  })
  const bodyOf = ({ name, grant, isPinned, lifetime }: typeof initial): Body => ({
    name,
    permissions: permissionsOf(grant),
    ...(isPinned && { environment }),
    ...(lifetime !== 'never' && { expiresAt: Date.now() + Number(lifetime) * 86_400_000 })
  })
  const form = useForm(initial, async values => {
    setKey((await create.mutateAsync(bodyOf(values))).key)
  })
  const { values, set, error } = form
  if (key !== undefined) {
    return (
      <Dialog title='API key created' isOpen onClose={onClose}>
        <div className='grid gap-4'>
          <Once label={values.name}>
            <CodeBlock text={key} />
          </Once>
          <CodeBlock
            label='Try it'
            text={`curl '${location.origin}/api/auth/me' -H 'authorization: Bearer ${key}'`}
          />
          <Buttons>
            <Button kind='primary' onClick={onClose}>
              Done
            </Button>
          </Buttons>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog title='Create API key' isOpen onClose={onClose}>
      <Form form={form} fields={['name', 'permissions', 'expiresAt']}>
        <TextField
          label='Name'
          autoFocus
          placeholder='Order service'
          value={values.name}
          error={error('name')}
          hint='The program that uses the key.'
          onChange={event => set({ name: event.target.value })}
        />
        <GrantPicker grant={values.grant} error={error('permissions')} onChange={grant => set({ grant })} />
        <SelectField
          label='Expires after'
          value={values.lifetime}
          choices={lifetimes}
          error={error('expiresAt')}
          onChange={lifetime => set({ lifetime })}
        />
        <PinToEnvironment
          environment={environment}
          isPinned={values.isPinned}
          onChange={isPinned => set({ isPinned })}
        />
        <Buttons>
          <CopyAs request={{ method: 'POST', path: '/api/api-keys', body: bodyOf(values) }} />
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy}>
            Create API key
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}
