import type { ReactNode } from 'react'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { Matrix } from './matrix.tsx'
import { useReach, type Role } from './names.ts'
import { nameOf, type Permission } from './resources.ts'

export interface RoleBody {
  name: string
  description: string
  permissions: Permission[]
}

export const namesOf = (role: Pick<Role, 'permissions'> | undefined): ReadonlySet<string> =>
  new Set(role?.permissions.map(nameOf))

const toPermission = (name: string): Permission => {
  const [resource, action] = name.split(':')
  return { resource, action } as Permission
}

/** The name, the description and the permissions of a role, to create or to change. */
export function RoleForm ({
  role,
  verb,
  request,
  onSave,
  actions
}: {
  /** The values to begin with. */
  role: Pick<Role, 'name' | 'description' | 'permissions'>
  verb: string
  /** How the API is called with the values. */
  request: (body: RoleBody) => Parameters<typeof CopyAs>[0]['request']
  onSave: (body: RoleBody) => Promise<unknown>
  actions?: ReactNode
}) {
  const reach = useReach()
  const stored = namesOf(role)
  const toBody = ({ name, description, permissions }: typeof initial): RoleBody => ({
    name,
    description,
    permissions: permissions.map(toPermission)
  })
  const initial = { name: role.name, description: role.description, permissions: [...stored].sort() }
  const form = useForm(initial, values => onSave(toBody(values)), { mayLeave: false })
  const { values, set, error, isChanged } = form
  const value = new Set(values.permissions)
  const added = values.permissions.filter(name => !stored.has(name)).length
  const removed = [...stored].filter(name => !value.has(name)).length
  return (
    <Form form={form} fields={['name', 'description']} className='grid gap-4'>
      <div className='grid max-w-3xl items-start gap-4 md:grid-cols-2'>
        <TextField
          label='Name'
          placeholder='support'
          hint='Lower-case letters, digits, - and _.'
          value={values.name}
          error={error('name')}
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='Description'
          isOptional
          value={values.description}
          error={error('description')}
          onChange={event => set({ description: event.target.value })}
        />
      </div>
      <Section
        title='Permissions'
        isPlain
        actions={
          <span className='text-muted' role='status'>
            {value.size} selected
            {added + removed > 0 && stored.size > 0 && (
              <>
                {' · '}
                <span className='text-ok'>{added} added</span>,{' '}
                <span className='text-critical'>{removed} removed</span>
              </>
            )}
          </span>
        }
      >
        <Matrix
          value={value}
          stored={stored}
          mayGrant={reach.everywhere}
          onChange={next => set({ permissions: [...next].sort() })}
        />
      </Section>
      <div className='sticky bottom-0 flex flex-wrap items-center gap-2 border-t border-line bg-page py-3'>
        <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={!isChanged}>
          {verb}
        </Button>
        {isChanged && <Button onClick={() => set(initial)}>Discard changes</Button>}
        <CopyAs request={request(toBody(values))} />
        {actions}
      </div>
    </Form>
  )
}
