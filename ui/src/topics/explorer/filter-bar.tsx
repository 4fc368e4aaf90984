import type { RealtimeError } from '@realtime-platform/client'
import { Popover } from 'radix-ui'
import { Braces, CircleAlert, Plus, X } from 'lucide-react'
import { useId, useState, type ReactNode, type Ref } from 'react'
import { Button, IconButton } from '../../components/button.tsx'
import { Buttons, Dialog } from '../../components/dialog.tsx'
import { SelectField, TextField } from '../../components/field.tsx'
import { JsonEditor, parseJson } from '../../components/json-editor.tsx'
import {
  conditionsOf,
  filterOf,
  isFilter,
  operators,
  readValue,
  valueText,
  type Condition,
  type EventFilter,
  type Operator
} from './filter.ts'

interface FilterBarProps {
  filter: EventFilter | undefined
  eventKey: string | undefined
  onChange: (changes: { filter?: EventFilter | undefined; key?: string | undefined }) => void
  /** Paths that occur in payloads, as proposals. */
  paths: readonly string[]
  /** The server's refusal of the filter. */
  error: RealtimeError | null
  addRef: Ref<HTMLButtonElement>
}

/** The conditions of the explorer as chips. Each is edited in place; all of them can be edited as JSON. */
export function FilterBar ({ filter, eventKey, onChange, paths, error, addRef }: FilterBarProps) {
  const conditions = conditionsOf(filter)
  const [isJson, setJson] = useState(false)
  const replace = (index: number, condition: Condition | null) => {
    const next = conditions.flatMap((known, i) => (i === index ? (condition ?? []) : known))
    onChange({
      filter: filterOf(index < conditions.length || condition === null ? next : [...conditions, condition])
    })
  }
  return (
    <div className='flex min-w-0 flex-wrap items-center gap-1.5' role='group' aria-label='Filter'>
      {conditions.map((condition, i) => (
        <Chip
          key={`${condition.path} ${condition.operator}`}
          label={conditionText(condition)}
          problem={problemOf(error, condition)}
          onRemove={() => replace(i, null)}
        >
          {close => (
            <ConditionForm
              initial={condition}
              paths={paths}
              verb='Change condition'
              error={problemOf(error, condition)}
              onDone={next => {
                close()
                replace(i, next)
              }}
            />
          )}
        </Chip>
      ))}
      {eventKey !== undefined && (
        <Chip label={`key = ${eventKey}`} onRemove={() => onChange({ key: undefined })}>
          {close => (
            <KeyForm
              initial={eventKey}
              onDone={key => {
                close()
                onChange({ key })
              }}
            />
          )}
        </Chip>
      )}
      <Add
        paths={paths}
        addRef={addRef}
        hasKey={eventKey !== undefined}
        onCondition={condition => replace(conditions.length, condition)}
        onKey={key => onChange({ key })}
      />
      <IconButton
        label='Edit the filter as JSON'
        icon={<Braces size={14} />}
        className='h-7!'
        onClick={() => setJson(true)}
      />
      {(conditions.length > 0 || eventKey !== undefined) && (
        <Button kind='plain' className='h-7! px-1.5!' onClick={() => onChange({ filter: undefined, key: undefined })}>
          Clear
        </Button>
      )}
      {isJson && (
        <JsonFilter
          filter={filter}
          onClose={() => setJson(false)}
          onDone={filter => {
            setJson(false)
            onChange({ filter })
          }}
        />
      )}
    </div>
  )
}

const conditionText = ({ path, operator, value }: Condition): string =>
  `${path} ${operators[operator] ?? operator} ${valueText(value)}`

/** Finds the problem of a condition in the server's details, such as `/filter/total/gte`. */
function problemOf (error: RealtimeError | null, { path, operator }: Condition): string | undefined {
  const pointer = `/filter/${path.replaceAll('~', '~0').replaceAll('/', '~1')}`
  return error?.details?.find(({ path: at = '' }) => at === pointer || at.startsWith(`${pointer}/${operator}`))
    ?.message
}

interface ChipProps {
  label: string
  problem?: string | undefined
  onRemove: () => void
  children: (close: () => void) => ReactNode
}

function Chip ({ label, problem, onRemove, children }: ChipProps) {
  const [isOpen, setOpen] = useState(false)
  const look = problem === undefined ? 'border-line bg-sunken' : 'border-critical bg-critical-soft'
  return (
    <span className={`inline-flex h-7 max-w-72 items-center rounded border ${look}`}>
      <Popover.Root open={isOpen} onOpenChange={setOpen}>
        <Popover.Trigger asChild>
          <button
            type='button'
            title={problem ?? 'Change the condition'}
            className='inline-flex min-w-0 items-center gap-1 pl-2 font-mono text-xs'
          >
            {problem !== undefined && <CircleAlert size={12} className='shrink-0 text-critical' aria-hidden />}
            <span className='truncate'>{label}</span>
          </button>
        </Popover.Trigger>
        <Over>{children(() => setOpen(false))}</Over>
      </Popover.Root>
      <button
        type='button'
        aria-label={`Remove ${label}`}
        className='px-1.5 text-muted hover:text-text'
        onClick={onRemove}
      >
        <X size={12} aria-hidden />
      </button>
    </span>
  )
}

const Over = ({ children }: { children: ReactNode }) => (
  <Popover.Portal>
    <Popover.Content
      align='start'
      sideOffset={4}
      collisionPadding={8}
      aria-label='Condition'
      className='enter z-50 w-80 rounded border border-line bg-raised p-3 shadow-over'
    >
      {children}
    </Popover.Content>
  </Popover.Portal>
)

interface AddProps {
  paths: readonly string[]
  addRef: Ref<HTMLButtonElement>
  hasKey: boolean
  onCondition: (condition: Condition) => void
  onKey: (key: string) => void
}

function Add ({ paths, addRef, hasKey, onCondition, onKey }: AddProps) {
  const [isOpen, setOpen] = useState(false)
  const [isKey, setKey] = useState(false)
  return (
    <Popover.Root open={isOpen} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <Button
          ref={addRef}
          className='h-7! px-2!'
          icon={<Plus size={13} aria-hidden />}
        >
          Filter
        </Button>
      </Popover.Trigger>
      <Over>
        {!hasKey && (
          <div className='mb-3 flex gap-1' role='group' aria-label='Filter by'>
            <Button kind={isKey ? 'plain' : 'normal'} aria-pressed={!isKey} onClick={() => setKey(false)}>
              Payload
            </Button>
            <Button kind={isKey ? 'normal' : 'plain'} aria-pressed={isKey} onClick={() => setKey(true)}>
              Key
            </Button>
          </div>
        )}
        {isKey && !hasKey
          ? (
            <KeyForm
              initial=''
              onDone={key => {
                setOpen(false)
                onKey(key)
              }}
            />
            )
          : (
            <ConditionForm
              initial={{ path: '', operator: 'eq', value: '' }}
              paths={paths}
              verb='Add condition'
              onDone={condition => {
                setOpen(false)
                onCondition(condition)
              }}
            />
            )}
      </Over>
    </Popover.Root>
  )
}

interface ConditionFormProps {
  initial: Condition
  paths: readonly string[]
  verb: string
  error?: string | undefined
  onDone: (condition: Condition) => void
}

const operatorChoices = Object.entries(operators).map(([value, label]) => ({ value: value as Operator, label }))
const hints: Partial<Record<Operator, string>> = {
  in: 'Values with commas between them, or a JSON array.',
  eq: 'A number, true, false, null, JSON, or text.',
  exists: 'true or false'
}

function ConditionForm ({ initial, paths, verb, error, onDone }: ConditionFormProps) {
  const [path, setPath] = useState(initial.path)
  const [operator, setOperator] = useState(initial.operator)
  const [typed, setTyped] = useState(initial.value === '' ? '' : valueText(initial.value))
  const [problem, setProblem] = useState(error)
  const list = useId()
  return (
    <form
      className='grid gap-3'
      onSubmit={event => {
        event.preventDefault()
        const read = readValue(operator, typed)
        if (path.trim() === '') setProblem('Enter a path')
        else if ('problem' in read) setProblem(read.problem)
        else onDone({ path: path.trim(), operator, value: read.value })
      }}
    >
      <TextField
        label='Path'
        placeholder='customer.id'
        list={list}
        autoFocus
        value={path}
        className='font-mono'
        onChange={event => setPath(event.target.value)}
      />
      <datalist id={list}>
        {paths.map(path => (
          <option key={path} value={path} />
        ))}
      </datalist>
      <SelectField label='Operator' choices={operatorChoices} value={operator} onChange={setOperator} />
      <TextField
        label='Value'
        value={typed}
        error={problem}
        className='font-mono'
        placeholder={operator === 'exists' ? 'true' : '100'}
        hint={hints[operator]}
        onChange={event => setTyped(event.target.value)}
      />
      <Button kind='primary' type='submit'>
        {verb}
      </Button>
    </form>
  )
}

function KeyForm ({ initial, onDone }: { initial: string; onDone: (key: string) => void }) {
  const [key, setKey] = useState(initial)
  return (
    <form
      className='grid gap-3'
      onSubmit={event => {
        event.preventDefault()
        if (key !== '') onDone(key)
      }}
    >
      <TextField
        label='Key'
        value={key}
        autoFocus
        className='font-mono'
        hint='The ordering key of the events, exactly.'
        onChange={event => setKey(event.target.value)}
      />
      <Button kind='primary' type='submit'>
        Filter by key
      </Button>
    </form>
  )
}

interface JsonFilterProps {
  filter: EventFilter | undefined
  onClose: () => void
  onDone: (filter: EventFilter | undefined) => void
}

function JsonFilter ({ filter, onClose, onDone }: JsonFilterProps) {
  const [json, setJson] = useState(JSON.stringify(filter ?? {}, null, 2))
  const { value, problem } = parseJson(json)
  const isWrong = problem !== undefined || !isFilter(value)
  return (
    <Dialog title='Filter as JSON' isOpen onClose={onClose}>
      <div className='grid gap-3'>
        <p className='text-muted'>
          The same filter works in <code className='font-mono'>subscribe</code>: paths into the payload, each with a
          value or with operators such as <code className='font-mono'>{'{"gte": 100}'}</code>.
        </p>
        <JsonEditor label='Filter' value={json} onChange={setJson} />
        {isWrong && (
          <p className='text-critical' role='alert'>
            {problem ?? 'A filter is an object of paths'}
          </p>
        )}
        <Buttons>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind='primary'
            disabled={isWrong}
            onClick={() => {
              if (isFilter(value)) onDone(Object.keys(value).length === 0 ? undefined : value)
            }}
          >
            Apply filter
          </Button>
        </Buttons>
      </div>
    </Dialog>
  )
}
