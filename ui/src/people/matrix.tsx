import { clsx } from 'clsx'
import { Check } from 'lucide-react'
import { useRef, useState, type KeyboardEvent } from 'react'
import {
  actions,
  allPermissions,
  nameOf,
  resourceGroups,
  type Action,
  type Permission,
  type Resource
} from './resources.ts'

interface MatrixProps {
  /** The permissions of the role, as `topics:read`. */
  value: ReadonlySet<string>
  /** Those of the stored role: cells that differ are marked. */
  stored: ReadonlySet<string>
  /** Undefined: the matrix is read-only. */
  onChange?: ((value: ReadonlySet<string>) => void) | undefined
  /** Whether the user may grant a permission. Nobody grants more than they hold. */
  mayGrant: (permission: string) => boolean
}

/**
 * The permissions of a role as a table of resources and actions. By keyboard: arrows move, Space ticks, Home and End go
 * to the ends of a row. The buttons in front of a row and above a column tick all of it.
 */
export function Matrix ({ value, stored, onChange, mayGrant }: MatrixProps) {
  const body = useRef<HTMLTableElement>(null)
  const [current, setCurrent] = useState('topics:create')
  const isEditable = onChange !== undefined

  function toggle (permissions: readonly Permission[]): void {
    const names = permissions.map(nameOf).filter(mayGrant)
    const next = new Set(value)
    const isFull = names.every(name => next.has(name))
    for (const name of names) {
      if (isFull) next.delete(name)
      else next.add(name)
    }
    onChange?.(next)
  }

  function onKeyDown (event: KeyboardEvent): void {
    const cells = [...(body.current?.querySelectorAll<HTMLInputElement>('input') ?? [])]
    const at = cells.findIndex(cell => cell === event.target)
    if (at === -1) return
    const row = at - (at % actions.length)
    const steps: Record<string, number> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - actions.length,
      ArrowDown: at + actions.length,
      Home: row,
      End: row + actions.length - 1
    }
    const next = cells[steps[event.key] ?? -1]
    if (steps[event.key] === undefined) return
    event.preventDefault()
    next?.focus()
  }

  return (
    <div className='overflow-x-auto'>
      <table ref={body} className='w-full' aria-label='Permissions' onKeyDown={onKeyDown}>
        <thead className='sticky top-0 z-10 bg-surface'>
          <tr className='border-b border-line text-xs text-muted'>
            <th scope='col' className='px-3 py-2 text-left font-medium'>
              Resource
            </th>
            {actions.map(action => (
              <th key={action} scope='col' className='w-20 px-1 py-2 text-center font-medium'>
                {isEditable
                  ? (
                    <button
                      type='button'
                      className='rounded px-1.5 py-0.5 hover:bg-hover hover:text-text'
                      title={`Tick or clear “${action}” of every resource`}
                      onClick={() => toggle(allPermissions.filter(permission => permission.action === action))}
                    >
                      {action}
                    </button>
                    )
                  : (
                      action
                    )}
              </th>
            ))}
          </tr>
        </thead>
        {resourceGroups.map(({ label, resources }) => (
          <tbody key={label}>
            <tr>
              <th
                scope='rowgroup'
                colSpan={5}
                className='bg-sunken px-3 py-1 text-left text-xs font-medium text-muted'
              >
                {label}
              </th>
            </tr>
            {Object.entries(resources).map(([name, words]) => {
              const resource = name as Resource
              return (
                <tr key={name} className='border-b border-line/60 hover:bg-hover'>
                  <th scope='row' className='px-3 py-1 text-left font-normal'>
                    {isEditable
                      ? (
                        <button
                          type='button'
                          className='rounded font-medium hover:underline'
                          title={`Tick or clear all of ${name}`}
                          onClick={() => toggle(actions.map(action => ({ resource, action })))}
                        >
                          {name}
                        </button>
                        )
                      : (
                        <span className='font-medium'>{name}</span>
                        )}
                    <span className='ml-2 text-muted max-md:hidden'>{words}</span>
                  </th>
                  {actions.map(action => (
                    <Cell
                      key={action}
                      permission={{ resource, action }}
                      isHeld={value.has(`${name}:${action}`)}
                      wasHeld={stored.has(`${name}:${action}`)}
                      isEditable={isEditable}
                      mayGrant={mayGrant(`${name}:${action}`)}
                      isCurrent={current === `${name}:${action}`}
                      onFocus={() => setCurrent(`${name}:${action}`)}
                      onToggle={() => toggle([{ resource, action }])}
                    />
                  ))}
                </tr>
              )
            })}
          </tbody>
        ))}
      </table>
    </div>
  )
}

function Cell ({
  permission,
  isHeld,
  wasHeld,
  isEditable,
  mayGrant,
  isCurrent,
  onFocus,
  onToggle
}: {
  permission: { resource: Resource; action: Action }
  isHeld: boolean
  wasHeld: boolean
  isEditable: boolean
  mayGrant: boolean
  isCurrent: boolean
  onFocus: () => void
  onToggle: () => void
}) {
  const label = nameOf(permission)
  const isChanged = isHeld !== wasHeld
  if (!isEditable) {
    return (
      <td className='text-center'>
        {isHeld
          ? (
            <Check size={15} className='inline text-ok' aria-label={`${label}: yes`} />
            )
          : (
            <span className='text-muted' aria-label={`${label}: no`} role='img'>
              –
            </span>
            )}
      </td>
    )
  }
  return (
    <td
      className={clsx('text-center', isChanged && (isHeld ? 'bg-ok-soft' : 'bg-critical-soft'))}
      title={mayGrant ? undefined : 'You do not hold this permission everywhere, so you cannot grant it'}
    >
      <label className='inline-grid size-7 place-items-center align-middle'>
        <input
          type='checkbox'
          aria-label={label}
          className='size-4 accent-(--accent)'
          checked={isHeld}
          aria-disabled={!mayGrant || undefined}
          tabIndex={isCurrent ? 0 : -1}
          onFocus={onFocus}
          onChange={() => {
            if (mayGrant) onToggle()
          }}
        />
      </label>
    </td>
  )
}
