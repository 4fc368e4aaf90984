import { Checkbox, Field, SelectField, TextField } from '../components/field.tsx'
import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { actions, levels, resources, type Grant } from './grant.ts'

const levelNames = {
  client: 'Client', service: 'Service', admin: 'Admin', chosen: 'Chosen permissions'
}
const levelHints = {
  client: 'For browsers: reads events and documents, subscribes, and joins channels.',
  service: 'For back ends: publishes, writes documents, and issues tokens of clients.',
  admin: 'Everything in this application.',
  chosen: 'Exactly those below.'
}

/** Picks the permissions of a credential. Permissions that the user does not hold cannot be granted. */
export function GrantPicker ({
  grant,
  onChange,
  error
}: {
  grant: Grant
  onChange: (grant: Grant) => void
  error?: string | undefined
}) {
  const may = useMay()
  const set = (changes: Partial<Grant>) => onChange({ ...grant, ...changes })
  const toggle = (permission: string, isChecked: boolean) =>
    set({
      permissions: isChecked
        ? [...grant.permissions, permission]
        : grant.permissions.filter(one => one !== permission)
    })
  return (
    <div className='grid gap-3'>
      <SelectField
        label='Permissions'
        value={grant.level}
        error={error}
        hint={levelHints[grant.level]}
        choices={levels.map(value => ({ value, label: levelNames[value] }))}
        onChange={level => set({ level })}
      />
      {grant.level === 'chosen' && (
        <>
          <div
            className='max-h-64 overflow-auto rounded border border-line'
            tabIndex={0}
            role='region'
            aria-label='Permissions, table'
          >
            <table className='w-full text-left'>
              <thead className='sticky top-0 bg-raised'>
                <tr className='text-xs text-muted'>
                  <th scope='col' className='px-2 py-1 font-medium'>
                    Resource
                  </th>
                  {actions.map(action => (
                    <th key={action} scope='col' className='w-16 py-1 text-center font-medium'>
                      {action}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {resources.map(resource => (
                  <tr key={resource} className='border-t border-line'>
                    <th scope='row' className='px-2 font-normal'>
                      {resource}
                    </th>
                    {actions.map(action => {
                      const permission = `${resource}:${action}`
                      return (
                        <td key={action} className='text-center'>
                          <input
                            type='checkbox'
                            aria-label={permission}
                            className='size-4 align-middle accent-(--accent)'
                            disabled={!may(permission)}
                            checked={grant.permissions.includes(permission)}
                            onChange={event => toggle(permission, event.target.checked)}
                          />
                        </td>
                      )
                    })}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <TextField
            label='Topics to subscribe to'
            isOptional
            className='font-mono'
            placeholder='order.* chat.**'
            value={grant.subscribe}
            hint='Names and patterns, separated by spaces. ** alone means every topic.'
            onChange={event => set({ subscribe: event.target.value })}
          />
          <TextField
            label='Topics to publish to'
            isOptional
            className='font-mono'
            placeholder='order.placed'
            value={grant.publish}
            onChange={event => set({ publish: event.target.value })}
          />
        </>
      )}
    </div>
  )
}

/** Pins a credential to the environment of the page. */
export const PinToEnvironment = ({
  environment,
  isPinned,
  onChange
}: {
  environment: string
  isPinned: boolean
  onChange: (isPinned: boolean) => void
}) => (
  <Checkbox
    label={
      <>
        Only for <strong>{environment}</strong>
      </>
    }
    checked={isPinned}
    hint='Otherwise it works in all three environments.'
    onChange={event => onChange(event.target.checked)}
  />
)

/** A secret that is shown once. It is kept in memory, and is gone when the dialog closes. */
export const Once = ({ label, children }: { label: string; children: ReactNode }) => (
  <Field label={label} hint='It is shown only now. Store it where your program reads its secrets.'>
    {() => <>{children}</>}
  </Field>
)
