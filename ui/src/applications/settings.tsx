import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { forgetScope, useScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, ConfirmDialog } from '../components/dialog.tsx'
import { Checkbox, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Time } from '../components/time.tsx'
import { useApplication, useMayInApplication, type Application } from './application.ts'

export function Settings () {
  const application = useApplication()
  const mayDelete = useMayInApplication('applications:delete')
  if (application === undefined) return null
  return (
    <div className='grid max-w-3xl gap-4'>
      <Section title='Settings'>
        <SettingsForm key={application.updatedAt} application={application} />
      </Section>
      <Section title='Facts'>
        <Properties
          items={[
            [
              'ID',
              <Code key='id' isCopyable>
                {application.id}
              </Code>
            ],
            ['Created', <Time key='created' at={application.createdAt} isExact />],
            ['Changed', <Time key='changed' at={application.updatedAt} isExact />]
          ]}
        />
      </Section>
      {mayDelete && <DeleteApplication application={application} />}
    </div>
  )
}

function SettingsForm ({ application }: { application: Application }) {
  const mayChange = useMayInApplication('applications:update')
  const { id } = application
  const change = useAction(
    (api, body: Changes) => api.PATCH('/api/applications/{id}', { params: { path: { id } }, body }),
    { invalidates: ['/api/applications'], isErrorShown: true, done: 'Settings saved', scope: null }
  )
  const form = useForm(fieldsOf(application), values => change.mutateAsync(changesOf(values)), { mayLeave: false })
  const { values, set, error } = form
  return (
    <Form form={form} fields={['name', 'description', 'presenceGraceMs']}>
      <TextField
        label='Name'
        value={values.name}
        error={error('name')}
        disabled={!mayChange}
        onChange={event => set({ name: event.target.value })}
      />
      <TextField
        label='Description'
        isOptional
        value={values.description}
        error={error('description')}
        disabled={!mayChange}
        onChange={event => set({ description: event.target.value })}
      />
      <TextField
        label='Presence grace period'
        type='number'
        min={0}
        className='max-w-40'
        value={values.presenceGraceMs}
        error={error('presenceGraceMs')}
        disabled={!mayChange}
        hint='Milliseconds for which a channel member stays after its connection has ended.'
        onChange={event => set({ presenceGraceMs: event.target.value })}
      />
      <fieldset className='grid gap-2' disabled={!mayChange}>
        <legend className='mb-1 font-medium'>Deployments that somebody other than their author must approve</legend>
        <Checkbox
          label='To staging'
          checked={values.staging}
          onChange={event => set({ staging: event.target.checked })}
        />
        <Checkbox
          label='To production'
          checked={values.production}
          onChange={event => set({ production: event.target.checked })}
        />
      </fieldset>
      {mayChange && (
        <Buttons>
          <CopyAs
            request={{ method: 'PATCH', path: '/api/applications/{id}', params: { id }, body: changesOf(values) }}
          />
          <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={!form.isChanged}>
            Save settings
          </Button>
        </Buttons>
      )}
    </Form>
  )
}

const fieldsOf = ({ name, description, presenceGraceMs, requireApproval }: Application) => ({
  name,
  description,
  presenceGraceMs: String(presenceGraceMs),
  ...requireApproval
})

const changesOf = ({ name, description, presenceGraceMs, staging, production }: ReturnType<typeof fieldsOf>) => ({
  name,
  description,
  presenceGraceMs: Number(presenceGraceMs),
  requireApproval: { staging, production }
})
type Changes = ReturnType<typeof changesOf>

function DeleteApplication ({ application: { id, name } }: { application: Application }) {
  const navigate = useNavigate()
  const shown = useScope()
  const [isOpen, setOpen] = useState(false)
  const [isForced, setForced] = useState(false)
  const remove = useAction(
    (api, force: boolean) =>
      api.DELETE('/api/applications/{id}', {
        params: { path: { id }, query: force ? { force } : {} }
      }),
    {
      invalidates: ['/api/applications'],
      done: 'Application deleted',
      scope: null,
      onDone () {
        if (shown?.applicationId === id) forgetScope()
        return navigate({ to: '/applications' })
      }
    }
  )
  return (
    <Section title='Delete the application'>
      <div className='grid gap-3'>
        <p className='text-muted'>
          Deleting it closes its sockets and ends its tokens and API keys, in all three environments. An application
          with topics, services, webhooks or events is deleted only together with them.
        </p>
        <Checkbox
          label='Also delete its data'
          checked={isForced}
          onChange={event => setForced(event.target.checked)}
          hint='Topics with their events, documents, webhooks and mappings. This cannot be undone.'
        />
        <div className='flex items-center gap-2'>
          <Button kind='danger' onClick={() => setOpen(true)}>
            Delete application
          </Button>
          <CopyAs
            request={{
              method: 'DELETE',
              path: '/api/applications/{id}',
              params: { id },
              query: { force: isForced || undefined }
            }}
          />
        </div>
      </div>
      <ConfirmDialog
        isProduction
        title={`Delete ${name}`}
        name={name}
        verb='Delete application'
        isOpen={isOpen}
        onClose={() => setOpen(false)}
        isBusy={remove.isPending}
        onConfirm={() => remove.mutate(isForced, { onSettled: () => setOpen(false) })}
      >
        {isForced
          ? 'All of its data is deleted, in development, staging and production.'
          : 'This is refused while the application owns data.'}
      </ConfirmDialog>
    </Section>
  )
}
