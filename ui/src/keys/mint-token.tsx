import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { SelectField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Time } from '../components/time.tsx'
import { emptyGrant, permissionsOf, type Grant } from './grant.ts'
import { GrantPicker, Once, PinToEnvironment } from './grant-picker.tsx'

const lifetimes = [
  { value: '300', label: '5 minutes' },
  { value: '3600', label: 'an hour' },
  { value: '86400', label: 'a day' },
  { value: '2592000', label: '30 days' }
] as const

const initial: { subject: string; grant: Grant; isPinned: boolean; lifetime: (typeof lifetimes)[number]['value'] } = {
  subject: '',
  grant: emptyGrant,
  isPinned: true,
  lifetime: '3600'
}

/** Issues a token for the application. */
export function MintToken () {
  const { applicationId, environment } = usePageScope()
  const [issued, setIssued] = useState<{ token: string; expiresAt: number }>()
  const mint = useAction((api, body: ReturnType<typeof bodyOf>) => api.POST('/auth/token', { body }), {
    isErrorShown: true
  })
  const bodyOf = ({ subject, grant, isPinned, lifetime }: typeof initial) => ({
    applicationId,
    permissions: permissionsOf(grant),
    expiresIn: Number(lifetime),
    ...(subject !== '' && { subject }),
    ...(isPinned && { environment })
  })
  const form = useForm(initial, async values => {
    setIssued(await mint.mutateAsync(bodyOf(values)))
  })
  const { values, set, error } = form
  return (
    <Form form={form} fields={['subject', 'permissions', 'expiresIn']}>
      <TextField
        label='Subject'
        isOptional
        placeholder='user-17'
        value={values.subject}
        error={error('subject')}
        hint='The user that the token stands for. Members of channels are shown by it.'
        onChange={event => set({ subject: event.target.value })}
      />
      <GrantPicker grant={values.grant} error={error('permissions')} onChange={grant => set({ grant })} />
      <SelectField
        label='Expires after'
        value={values.lifetime}
        choices={lifetimes}
        error={error('expiresIn')}
        onChange={lifetime => set({ lifetime })}
      />
      <PinToEnvironment
        environment={environment}
        isPinned={values.isPinned}
        onChange={isPinned => set({ isPinned })}
      />
      <Buttons>
        <CopyAs request={{ method: 'POST', path: '/auth/token', body: bodyOf(values) }} />
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Issue token
        </Button>
      </Buttons>
      {issued !== undefined && (
        <div className='grid gap-2'>
          <Once label='Token'>
            <CodeBlock text={issued.token} className='break-all' />
          </Once>
          <p className='text-muted'>
            It expires <Time at={issued.expiresAt} />, and cannot be revoked by itself.
          </p>
        </div>
      )}
    </Form>
  )
}
