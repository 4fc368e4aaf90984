import { useState } from 'react'
import { FlaskConical } from 'lucide-react'
import type { DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Checkbox, SelectField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { Skeleton } from '../components/states.tsx'
import { Checks } from './checks.tsx'
import { noFields, tlsModes, toConnectionString, toFields, withoutPassword } from './connection-string.ts'

type Connection = DataOf<'/api/database/connection'>

interface Values extends ReturnType<typeof fieldsOf> {
  pasted: string
  publication: string
  slot: string
  acceptGap: boolean
}

const fieldsOf = (current: Connection | undefined) =>
  (current === undefined ? undefined : toFields(current.connectionString)) ?? noFields

const tlsWords = {
  disable: 'Off',
  require: 'Required, any certificate',
  'verify-ca': 'Required, trusted authority',
  'verify-full': 'Required, trusted authority and host name'
}

/** After these errors changes are lost: the reader starts again only if that is accepted. */
const losses = new Set(['SOURCE_REPLACED', 'SLOT_LOST', 'SLOT_MOVED', 'PUBLICATION_LOST', 'SLOT_FOREIGN'])

/** Connects a database, or changes the connection: test first, then save. */
export function ConnectionForm ({
  current,
  onDone,
  onCancel
}: {
  current?: Connection
  onDone: () => void
  onCancel?: () => void
}) {
  const save = useAction((api, body: ReturnType<typeof bodyOf>) => api.PUT('/api/database/connection', { body }), {
    invalidates: ['/api/database'],
    done: 'Connection saved',
    isErrorShown: true
  })
  const test = useAction(
    (api, body: Partial<ReturnType<typeof bodyOf>>) => api.POST('/api/database/connection/test', { body }),
    { isErrorShown: true }
  )
  const form = useForm<Values>(
    {
      ...fieldsOf(current),
      pasted: '',
      publication: current?.publication ?? '',
      slot: current?.slot ?? '',
      acceptGap: false
    },
    async values => {
      await save.mutateAsync(bodyOf(values))
      onDone()
    }
  )
  const [isAdvanced, setAdvanced] = useState(false)
  const { values, set, error } = form
  const isStored = current !== undefined && values.password === ''
  const runTest = () => {
    const { acceptGap: _, ...body } = bodyOf(values)
    // Without a password, the stored connection is tested.
    test.mutate(isStored ? {} : body)
  }
  const splitPasted = (text: string) => {
    const fields = toFields(text)
    if (fields !== undefined) set({ ...fields, pasted: '' })
  }
  return (
    <div className='grid gap-4'>
      <Section title={current === undefined ? 'Where it is' : 'Change the connection'}>
        <Form form={form} fields={['connectionString', 'publication', 'slot']}>
          <TextField
            label='Connection string'
            isOptional
            placeholder='postgres://realtime:…@db.internal:5432/shop?sslmode=require'
            value={values.pasted}
            error={error('connectionString')}
            hint='Paste it to fill in the fields below. The password moves to its own field.'
            onChange={event => {
              set({ pasted: event.target.value })
              if (event.nativeEvent instanceof InputEvent && event.nativeEvent.inputType === 'insertFromPaste') {
                splitPasted(event.target.value)
              }
            }}
            onBlur={event => splitPasted(event.target.value)}
          />
          <div className='grid gap-4 sm:grid-cols-[minmax(0,1fr)_6rem_minmax(0,1fr)]'>
            <TextField
              label='Host'
              placeholder='db.internal'
              value={values.host}
              onChange={event => set({ host: event.target.value })}
            />
            <TextField
              label='Port'
              inputMode='numeric'
              value={values.port}
              onChange={event => set({ port: event.target.value })}
            />
            <TextField
              label='Database'
              placeholder='shop'
              value={values.database}
              onChange={event => set({ database: event.target.value })}
            />
          </div>
          <div className='grid gap-4 sm:grid-cols-3'>
            <TextField
              label='User'
              placeholder='realtime'
              value={values.user}
              hint='It needs the attribute REPLICATION.'
              onChange={event => set({ user: event.target.value })}
            />
            <TextField
              label='Password'
              type='password'
              autoComplete='new-password'
              value={values.password}
              hint={
                current === undefined
                  ? 'Stored encrypted. It is never shown again.'
                  : 'The stored one is never shown. Enter it again to save a change.'
              }
              onChange={event => set({ password: event.target.value })}
            />
            <SelectField
              label='TLS'
              choices={tlsModes.map(value => ({ value, label: tlsWords[value] }))}
              value={values.tls}
              onChange={tls => set({ tls })}
            />
          </div>
          {isAdvanced || error('publication') !== undefined || error('slot') !== undefined
            ? (
              <div className='grid gap-4 sm:grid-cols-2'>
                <TextField
                  label='Publication'
                  isOptional
                  value={values.publication}
                  error={error('publication')}
                  hint='Empty: the platform creates one. Name your own if the user may not.'
                  onChange={event => set({ publication: event.target.value })}
                />
                <TextField
                  label='Replication slot'
                  isOptional
                  value={values.slot}
                  error={error('slot')}
                  hint='The platform creates it under this name.'
                  onChange={event => set({ slot: event.target.value })}
                />
              </div>
              )
            : (
              <Button kind='plain' className='justify-self-start' onClick={() => setAdvanced(true)}>
                Names of the publication and the slot…
              </Button>
              )}
          {losses.has(current?.error?.code ?? '') && (
            <Checkbox
              label='Start again from now'
              hint='Gives up all changes since the last position, and creates a new slot.'
              checked={values.acceptGap}
              onChange={event => set({ acceptGap: event.target.checked })}
            />
          )}
          <Buttons>
            <CopyAs
              request={{
                method: 'PUT',
                path: '/api/database/connection',
                body: { ...bodyOf(values), connectionString: withoutPassword(values) }
              }}
            />
            {onCancel !== undefined && <Button onClick={onCancel}>Cancel</Button>}
            <Button icon={<FlaskConical size={14} aria-hidden />} isBusy={test.isPending} onClick={runTest}>
              {isStored ? 'Test the stored connection' : 'Test connection'}
            </Button>
            <Button kind='primary' type='submit' isBusy={form.isBusy}>
              {current === undefined ? 'Connect database' : 'Save connection'}
            </Button>
          </Buttons>
        </Form>
      </Section>
      {test.isPending && (
        <Section title='Preconditions'>
          <Skeleton lines={5} />
        </Section>
      )}
      {test.error !== null && <ErrorNote error={test.error} />}
      {test.data !== undefined && !test.isPending && (
        <Section
          title='Preconditions'
          actions={
            test.data.ok
              ? (
                <Badge tone='ok'>Ready to connect</Badge>
                )
              : (
                <Badge tone='critical'>{failures(test.data.checks)}</Badge>
                )
          }
        >
          <Checks label='Preconditions' checks={test.data.checks} />
        </Section>
      )}
    </div>
  )
}

function bodyOf (values: Values) {
  const { publication, slot, acceptGap } = values
  return {
    connectionString: toConnectionString(values),
    ...(publication !== '' && { publication }),
    ...(slot !== '' && { slot }),
    ...(acceptGap && { acceptGap })
  }
}

function failures (checks: readonly { status: string }[]): string {
  const count = checks.filter(({ status }) => status === 'failed').length
  return `${count} ${count === 1 ? 'precondition fails' : 'preconditions fail'}`
}
