import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { SelectField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Once } from './grant-picker.tsx'

const algorithms = [
  { value: 'EdDSA', label: 'EdDSA: verified with the public key, short signatures' },
  { value: 'ES256', label: 'ES256: verified with the public key' },
  { value: 'HS256', label: 'HS256: verified with the shared secret' }
] as const

/** Creates the key that signs all new tokens. The secret of an HS256 key is shown once. */
export function CreateSigningKey ({ onClose }: { onClose: () => void }) {
  const [secret, setSecret] = useState<string>()
  const create = useAction(
    (api, body: { algorithm: (typeof algorithms)[number]['value'] }) => api.POST('/api/admin/keys', { body }),
    { invalidates: ['/api/admin/keys'], isErrorShown: true, scope: null, done: 'Signing key created' }
  )
  const form = useForm({ algorithm: 'EdDSA' as (typeof algorithms)[number]['value'] }, async values => {
    const answer = await create.mutateAsync(values)
    if (answer.secret === undefined) onClose()
    else setSecret(answer.secret)
  })
  const { values, set, error } = form
  return (
    <Dialog title='Create signing key' isOpen onClose={onClose}>
      {secret !== undefined
        ? (
          <div className='grid gap-4'>
            <Once label='Secret'>
              <CodeBlock text={secret} />
            </Once>
            <Buttons>
              <Button kind='primary' onClick={onClose}>
                Done
              </Button>
            </Buttons>
          </div>
          )
        : (
          <Form form={form} fields={['algorithm']}>
            <SelectField
              label='Algorithm'
              value={values.algorithm}
              choices={algorithms}
              error={error('algorithm')}
              hint='All tokens that are issued from now on are signed with the new key, in every application.'
              onChange={algorithm => set({ algorithm })}
            />
            <Buttons>
              <CopyAs request={{ method: 'POST', path: '/api/admin/keys', body: values }} />
              <Button onClick={onClose}>Cancel</Button>
              <Button kind='primary' type='submit' isBusy={form.isBusy}>
                Create signing key
              </Button>
            </Buttons>
          </Form>
          )}
    </Dialog>
  )
}
