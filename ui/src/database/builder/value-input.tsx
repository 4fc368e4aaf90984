import { useState } from 'react'
import { controlLook, Select } from '../../components/field.tsx'
import { fromText, listFromText, listToText, toText, type Kind } from './column-kinds.ts'
import type { Operator } from './conditions.ts'

interface ValueInputProps {
  kind: Kind
  operator: Operator
  value: unknown
  label: string
  onChange: (value: unknown) => void
}

/** The input for a value of a condition. The type of the column decides which. */
export function ValueInput (props: ValueInputProps) {
  const { kind, operator, value, label, onChange } = props
  if (operator === 'in' || operator === 'notIn') {
    return <ListInput {...props} />
  }
  if (kind === 'boolean') {
    return (
      <Select
        aria-label={label}
        choices={[
          { value: '', label: 'choose' },
          { value: 'true', label: 'true' },
          { value: 'false', label: 'false' }
        ]}
        value={value === true ? 'true' : value === false ? 'false' : ''}
        onChange={text => onChange(text === '' ? undefined : text === 'true')}
      />
    )
  }
  const time = timeInput(kind, value)
  if (time !== undefined) {
    return (
      <span className='flex min-w-0 flex-1 items-center gap-1'>
        <input
          aria-label={label}
          className={controlLook}
          type={time.type}
          step={1}
          value={time.text}
          onChange={event => onChange(event.target.value === '' ? undefined : time.read(event.target.value))}
        />
        {kind === 'instant' && <span className='text-xs text-muted'>UTC</span>}
      </span>
    )
  }
  return (
    <input
      aria-label={label}
      className={`${controlLook} font-mono text-xs`}
      placeholder={kind === 'number' ? '0' : kind === 'json' ? 'JSON' : 'value'}
      inputMode={kind === 'number' ? 'decimal' : undefined}
      spellCheck={false}
      autoComplete='off'
      value={toText(value)}
      onChange={event => onChange(event.target.value === '' ? undefined : fromText(event.target.value, kind))}
    />
  )
}

/** Keeps the text while it is typed: a comma at its end is not a value yet. */
function ListInput ({ kind, value, label, onChange }: ValueInputProps) {
  const [text, setText] = useState(listToText(value))
  const shown = JSON.stringify(listFromText(text, kind)) === JSON.stringify(value ?? []) ? text : listToText(value)
  return (
    <input
      aria-label={label}
      className={`${controlLook} font-mono text-xs`}
      placeholder={kind === 'number' ? '1, 2, 3' : 'paid, shipped'}
      spellCheck={false}
      autoComplete='off'
      value={shown}
      onChange={event => {
        setText(event.target.value)
        const list = listFromText(event.target.value, kind)
        onChange(list.length === 0 ? undefined : list)
      }}
    />
  )
}

/** Pickers for dates and times, unless a value has a form that they cannot show. */
function timeInput (
  kind: Kind,
  value: unknown
): { type: string; text: string; read: (text: string) => string } | undefined {
  if (value !== undefined && typeof value !== 'string') return undefined
  const text = value ?? ''
  if (kind === 'date') {
    return text === '' || /^\d{4}-\d\d-\d\d$/.test(text) ? { type: 'date', text, read: given => given } : undefined
  }
  const form = kind === 'instant' ? /^(\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?)Z$/ : /^(\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?)$/
  if (kind !== 'instant' && kind !== 'timestamp') return undefined
  const local = text === '' ? '' : form.exec(text)?.[1]
  const withSeconds = (given: string) => (given.length === 16 ? `${given}:00` : given)
  return local === undefined
    ? undefined
    : {
        type: 'datetime-local',
        text: local,
        read: given => `${withSeconds(given)}${kind === 'instant' ? 'Z' : ''}`
      }
}
