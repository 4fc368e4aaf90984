import { clsx } from 'clsx'
import { useId, useRef, useState, type KeyboardEvent } from 'react'
import { controlLook } from '../../components/field.tsx'
import type { TableColumn } from '../table-names.ts'

const eventFields = ['operation', 'table', 'schema', 'lsn', 'xid', 'committedAt']
const shownMax = 8

interface Typed {
  start: number
  end: number
  text: string
}

/** The reference that is being typed before the caret: `$row.st`. */
function typedAt (text: string, caret: number): Typed | undefined {
  const found = /\$[\w.]*$/.exec(text.slice(0, caret))
  return found === null ? undefined : { start: found.index, end: caret, text: found[0] }
}

/** An editor for the template of the payload. It completes `$row.`, `$old.` and `$event.` while one types. */
export function TemplateEditor ({
  value,
  onChange,
  columns,
  isReadOnly,
  isInvalid,
  describedBy,
  id
}: {
  value: string
  onChange: (value: string) => void
  columns: readonly TableColumn[]
  isReadOnly: boolean
  isInvalid: boolean
  describedBy: string | undefined
  id: string
}) {
  const listId = useId()
  const area = useRef<HTMLTextAreaElement>(null)
  const [typed, setTyped] = useState<Typed>()
  const [chosen, setChosen] = useState(0)
  const all = [
    ...columns.map(({ name, type }) => ({ text: `$row.${name}`, note: type })),
    ...columns.map(({ name }) => ({ text: `$old.${name}`, note: 'before the change' })),
    ...eventFields.map(name => ({ text: `$event.${name}`, note: 'of the change' }))
  ]
  const found =
    typed === undefined
      ? []
      : all.filter(({ text }) => text.startsWith(typed.text) && text !== typed.text).slice(0, shownMax)
  const isOpen = found.length > 0 && !isReadOnly

  function insert (text: string): void {
    if (typed === undefined) return
    const next = value.slice(0, typed.start) + text + value.slice(typed.end)
    onChange(next)
    setTyped(undefined)
    const caret = typed.start + text.length
    requestAnimationFrame(() => {
      area.current?.focus()
      area.current?.setSelectionRange(caret, caret)
    })
  }

  function onKeyDown (event: KeyboardEvent): void {
    if (!isOpen || event.metaKey || event.ctrlKey) return
    const steps: Record<string, () => void> = {
      ArrowDown: () => setChosen((chosen + 1) % found.length),
      ArrowUp: () => setChosen((chosen + found.length - 1) % found.length),
      Enter: () => insert(found[chosen]?.text ?? ''),
      Escape: () => setTyped(undefined)
    }
    const step = steps[event.key]
    if (step === undefined) return
    event.preventDefault()
    event.stopPropagation()
    step()
  }

  const look = (element: HTMLTextAreaElement) => {
    setTyped(typedAt(element.value, element.selectionStart))
    setChosen(0)
  }

  return (
    <div className='relative'>
      <textarea
        ref={area}
        id={id}
        rows={Math.min(Math.max(value.split('\n').length + 1, 5), 18)}
        value={value}
        readOnly={isReadOnly}
        spellCheck={false}
        autoComplete='off'
        aria-invalid={isInvalid || undefined}
        aria-describedby={describedBy}
        aria-autocomplete='list'
        aria-controls={isOpen ? listId : undefined}
        aria-activedescendant={isOpen ? `${listId}-${chosen}` : undefined}
        className={clsx(controlLook, 'h-auto resize-y py-1.5 font-mono text-xs leading-5')}
        onChange={event => {
          onChange(event.target.value)
          look(event.target)
        }}
        onClick={event => look(event.currentTarget)}
        onBlur={() => setTyped(undefined)}
        onKeyDown={onKeyDown}
      />
      {isOpen && (
        <ul
          id={listId}
          role='listbox'
          aria-label='Columns and fields'
          className='absolute inset-x-0 top-full z-20 mt-1 rounded border border-line bg-raised p-1 shadow-over'
        >
          {found.map(({ text, note }, i) => (
            <li
              key={text}
              id={`${listId}-${i}`}
              role='option'
              aria-selected={i === chosen}
              className={clsx('flex justify-between gap-3 rounded-sm px-2 py-1', i === chosen && 'bg-hover')}
              onMouseDown={event => {
                event.preventDefault()
                insert(text)
              }}
            >
              <code className='truncate font-mono text-xs'>{text}</code>
              <span className='truncate text-xs text-muted'>{note}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

/** Adds a column to a template, if it is an object of JSON; otherwise returns it as it is. */
export function withColumn (template: string, column: string): string {
  try {
    const parsed: unknown = JSON.parse(template)
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return template
    return JSON.stringify({ ...parsed, [column]: `$row.${column}` }, null, 2)
  } catch {
    return template
  }
}
