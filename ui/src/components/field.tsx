import { clsx } from 'clsx'
import { useId, type ComponentProps, type ReactNode } from 'react'

export const controlLook = clsx(
  'h-8 w-full rounded border border-control bg-surface px-2 text-text placeholder:text-muted',
  'disabled:opacity-60 aria-invalid:border-critical'
)

export interface FieldProps {
  label: string
  /** A short explanation under the control. */
  hint?: ReactNode
  /** The problem of the value, from the form or from the server's `details`. */
  error?: string | undefined
  isOptional?: boolean
  children: (props: {
    id: string
    'aria-invalid': true | undefined
    'aria-describedby': string | undefined
  }) => ReactNode
}

/** A label, a control, its hint and its error. */
export function Field ({ label, hint, error, isOptional = false, children }: FieldProps) {
  const id = useId()
  const describedBy = [error !== undefined && `${id}-error`, hint !== undefined && `${id}-hint`]
    .filter(Boolean)
    .join(' ')
  return (
    <div className='grid content-start gap-1'>
      <label htmlFor={id} className='font-medium'>
        {label}
        {isOptional && <span className='ml-1 font-normal text-muted'>optional</span>}
      </label>
      {children({
        id,
        'aria-invalid': error === undefined ? undefined : true,
        'aria-describedby': describedBy || undefined
      })}
      {error !== undefined && (
        <p id={`${id}-error`} className='text-critical' role='alert'>
          {error}
        </p>
      )}
      {hint !== undefined && (
        <p id={`${id}-hint`} className='text-xs text-muted'>
          {hint}
        </p>
      )}
    </div>
  )
}

type Described = Pick<FieldProps, 'label' | 'hint' | 'error' | 'isOptional'>

export function TextField ({
  label,
  hint,
  error,
  isOptional,
  className,
  ...rest
}: Described & ComponentProps<'input'>) {
  return (
    <Field {...{ label, hint, error, isOptional }}>
      {props => (
        <input autoComplete='off' spellCheck={false} className={clsx(controlLook, className)} {...props} {...rest} />
      )}
    </Field>
  )
}

export function TextAreaField ({
  label,
  hint,
  error,
  isOptional,
  className,
  ...rest
}: Described & ComponentProps<'textarea'>) {
  return (
    <Field {...{ label, hint, error, isOptional }}>
      {props => <textarea rows={3} className={clsx(controlLook, 'h-auto py-1.5', className)} {...props} {...rest} />}
    </Field>
  )
}

export interface Choice<Value extends string = string> {
  value: Value
  label: string
}

export function SelectField<Value extends string> ({
  label,
  hint,
  error,
  isOptional,
  choices,
  value,
  onChange,
  ...rest
}: Described &
  Omit<ComponentProps<'select'>, 'onChange' | 'value'> & {
    choices: readonly Choice<Value>[]
    value: Value
    onChange: (value: Value) => void
  }) {
  return (
    <Field {...{ label, hint, error, isOptional }}>
      {props => <Select choices={choices} value={value} onChange={onChange} {...props} {...rest} />}
    </Field>
  )
}

/** A select of the browser: it works by keyboard, by voice and on phones. */
export function Select<Value extends string> ({
  choices,
  value,
  onChange,
  className,
  ...rest
}: Omit<ComponentProps<'select'>, 'onChange' | 'value'> & {
  choices: readonly Choice<Value>[]
  value: Value
  onChange: (value: Value) => void
}) {
  return (
    <select
      className={clsx(controlLook, 'pr-7', className)}
      value={value}
      onChange={event => {
        const chosen = choices.find(choice => choice.value === event.target.value)
        if (chosen !== undefined) onChange(chosen.value)
      }}
      {...rest}
    >
      {choices.map(choice => (
        <option key={choice.value} value={choice.value}>
          {choice.label}
        </option>
      ))}
    </select>
  )
}

export function Checkbox ({
  label,
  hint,
  className,
  ...rest
}: ComponentProps<'input'> & { label: ReactNode; hint?: ReactNode }) {
  return (
    <label className={clsx('flex items-start gap-2', className)}>
      <input type='checkbox' className='mt-0.5 size-4 shrink-0 accent-(--accent)' {...rest} />
      <span>
        {label}
        {hint !== undefined && <span className='block text-xs text-muted'>{hint}</span>}
      </span>
    </label>
  )
}
