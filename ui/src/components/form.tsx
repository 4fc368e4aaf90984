import { RealtimeError } from '@realtime-platform/client'
import { useBlocker } from '@tanstack/react-router'
import { useState, type FormEvent, type KeyboardEvent, type ReactNode, type SyntheticEvent } from 'react'
import { ErrorNote } from './error-note.tsx'

export interface FormState<Values> {
  values: Values
  set: (changes: Partial<Values>) => void
  /** The server's or the form's problem of a field: `error('name')` also finds `/name/0` and `body/name`. */
  error: (field: string) => string | undefined
  /** Whether a value differs from the first one. */
  isChanged: boolean
  isBusy: boolean
  failure: RealtimeError | null
  /** Sends the form. Resolves after the answer; a refusal is shown, not thrown. */
  submit: () => Promise<void>
}

/**
 * The state of a form: `submit` calls `send` with the values. A refusal's `details` appear at their fields, the rest
 * above the buttons. Leaving the page with unsaved changes asks first, unless `mayLeave`.
 */
export function useForm<Values extends object> (
  initial: Values,
  send: (values: Values) => Promise<unknown>,
  { mayLeave = true }: { mayLeave?: boolean } = {}
): FormState<Values> {
  const [first, setFirst] = useState(initial)
  const [values, setValues] = useState(initial)
  const [failure, setFailure] = useState<RealtimeError | null>(null)
  const [isBusy, setBusy] = useState(false)
  const isChanged = JSON.stringify(values) !== JSON.stringify(first)
  useBlocker({
    shouldBlockFn: () => !mayLeave && isChanged && !isBusy && !confirm('Leave without saving your changes?'),
    enableBeforeUnload: () => !mayLeave && isChanged
  })
  return {
    values,
    set: changes => setValues(current => ({ ...current, ...changes })),
    error: field => inWords(failure?.details?.find(({ path = '' }) => isPathOf(path, field))?.message),
    isChanged,
    isBusy,
    failure,
    async submit () {
      setBusy(true)
      setFailure(null)
      try {
        await send(values)
        setFirst(values)
      } catch (error) {
        setFailure(error instanceof RealtimeError ? error : new RealtimeError('FAILED', String(error)))
      } finally {
        setBusy(false)
      }
    }
  }
}

/** Shows the example in place of the regular expression that a value does not match. */
function inWords (message: string | undefined): string | undefined {
  const example = /^must match pattern .*, as ("[^"]*") does$/.exec(message ?? '')?.[1]
  return example === undefined ? message : `must have the form of ${example}`
}

const isPathOf = (path: string, field: string): boolean => {
  const parts = path.split(/[/.]/).filter(part => part !== '' && part !== 'body')
  return parts[0] === field || parts.join('/') === field
}

/** A form that is sent by its button, by Enter, and by ⌘Enter or Ctrl+Enter from any of its fields. */
export function Form<Values> ({
  form,
  fields = [],
  children,
  className
}: {
  form: FormState<Values>
  /** Fields that show their error themselves. Other details are listed above the buttons. */
  fields?: readonly string[]
  children: ReactNode
  className?: string
}) {
  const onSubmit = (event: FormEvent) => {
    if (isOfOther(event)) return
    event.preventDefault()
    if (!form.isBusy) void form.submit()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !(event.metaKey || event.ctrlKey) || isOfOther(event)) return
    event.preventDefault()
    if (!form.isBusy) void form.submit()
  }
  return (
    <form onSubmit={onSubmit} onKeyDown={onKeyDown} className={className ?? 'grid gap-4'} noValidate>
      {children}
      {form.failure !== null && <ErrorNote error={form.failure} hidden={fields} />}
    </form>
  )
}

/**
 * Whether an event comes from the form of a dialog or popover that opened from within this form. React passes it on to
 * the form, although the elements are elsewhere in the document.
 */
const isOfOther = ({ target, currentTarget }: SyntheticEvent): boolean =>
  target instanceof Element && target.closest('form') !== currentTarget
