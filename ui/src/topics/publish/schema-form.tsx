import { Plus, Trash2 } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Button, IconButton } from '../../components/button.tsx'
import { SelectField, TextAreaField, TextField } from '../../components/field.tsx'
import { parseJson } from '../../components/json-editor.tsx'
import { problemAt, problemsOfObject, type Problems } from './problems.ts'
import {
  below, choicesOf, initialOf, inputOf, kindOf, resolved, titleOf, variantOf, variantsOf, type JsonSchema
} from './schema.ts'

interface PartProps {
  schema: JsonSchema
  root: JsonSchema
  label: string
  pointer: string
  problems: Problems
  isRequired: boolean
  /** Undefined: the value is left out. */
  value: unknown
  onChange: (value: unknown) => void
}

interface SchemaFormProps {
  schema: JsonSchema
  value: unknown
  problems: Problems
  onChange: (value: unknown) => void
}

/** A form for the values of a JSON Schema. Parts that have no control are edited as JSON. */
export const SchemaForm = ({ schema, value, problems, onChange }: SchemaFormProps) => (
  <Part
    schema={resolved(schema, schema)}
    root={schema}
    label='Payload'
    pointer=''
    problems={problems}
    isRequired
    value={value}
    onChange={onChange}
  />
)

function Part (props: PartProps) {
  switch (kindOf(props.schema)) {
    case 'object': return <ObjectPart {...props} />
    case 'array': return <ArrayPart {...props} />
    case 'variants': return <VariantsPart {...props} />
    case 'enum': return <EnumPart {...props} />
    case 'boolean': return <BooleanPart {...props} />
    case 'number': return <NumberPart {...props} />
    case 'text': return <TextPart {...props} />
    default: return <JsonPart {...props} />
  }
}

const described = ({ label, schema, pointer, problems, isRequired }: PartProps) => ({
  label,
  error: problemAt(problems, pointer),
  isOptional: !isRequired,
  ...(schema.description !== undefined && { hint: schema.description })
})

function TextPart (props: PartProps) {
  const { schema, value, isRequired, onChange } = props
  return (
    <TextField
      {...described(props)}
      type={inputOf(schema)}
      value={typeof value === 'string' ? value : ''}
      placeholder={schema.format === 'date-time' ? '2026-11-30T12:00:00Z' : schema.format}
      onChange={event => onChange(event.target.value === '' && !isRequired ? undefined : event.target.value)}
    />
  )
}

function NumberPart (props: PartProps) {
  const { schema: { minimum, maximum }, value, onChange } = props
  return (
    <TextField
      {...described(props)}
      type='number'
      step='any'
      min={minimum}
      max={maximum}
      value={typeof value === 'number' ? String(value) : ''}
      onChange={event => onChange(event.target.value === '' ? undefined : Number(event.target.value))}
    />
  )
}

function BooleanPart (props: PartProps) {
  const { value, isRequired, onChange } = props
  const choices = [
    ...(isRequired && value !== undefined ? [] : [{ value: '', label: isRequired ? 'Choose…' : 'Left out' }]),
    { value: 'true', label: 'true' },
    { value: 'false', label: 'false' }
  ]
  return (
    <SelectField
      {...described(props)}
      choices={choices}
      value={value === undefined ? '' : String(value)}
      onChange={chosen => onChange(chosen === '' ? undefined : chosen === 'true')}
    />
  )
}

function EnumPart (props: PartProps) {
  const { schema, value, isRequired, onChange } = props
  const values = choicesOf(schema)
  const choices = [
    { value: '', label: isRequired ? 'Choose…' : 'Left out' },
    ...values.map(choice => ({
      value: JSON.stringify(choice), label: typeof choice === 'string' ? choice : JSON.stringify(choice)
    }))
  ]
  return (
    <SelectField
      {...described(props)}
      choices={choices}
      value={value === undefined ? '' : JSON.stringify(value)}
      onChange={chosen => onChange(chosen === '' ? undefined : (JSON.parse(chosen) as unknown))}
    />
  )
}

function JsonPart (props: PartProps) {
  const { value, onChange } = props
  const [text, setText] = useState(value === undefined ? '' : JSON.stringify(value, null, 2))
  const { problem } = text === '' ? {} : parseJson(text)
  const { error, ...rest } = described(props)
  return (
    <TextAreaField
      {...rest}
      error={problem ?? error}
      value={text}
      placeholder='JSON'
      className='font-mono text-xs'
      onChange={event => {
        setText(event.target.value)
        const parsed = parseJson(event.target.value)
        if (event.target.value === '') onChange(undefined)
        else if (parsed.problem === undefined) onChange(parsed.value)
      }}
    />
  )
}

interface GroupProps {
  label: string
  isOptional: boolean
  hint?: string | undefined
  problems: readonly string[]
  actions?: ReactNode
  children: ReactNode
}

const Group = ({ label, isOptional, hint, problems, actions, children }: GroupProps) => (
  <fieldset className='grid gap-3 rounded border border-line p-3'>
    <legend className='flex items-center gap-2 px-1 font-medium'>
      {label}
      {isOptional && <span className='font-normal text-muted'>optional</span>}
      {actions}
    </legend>
    {hint !== undefined && <p className='text-xs text-muted'>{hint}</p>}
    {problems.map(problem => (
      <p key={problem} className='text-critical' role='alert'>{problem}</p>
    ))}
    {children}
  </fieldset>
)

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

function ObjectPart ({ schema, root, label, pointer, problems, isRequired, value, onChange }: PartProps) {
  const properties = Object.entries(schema.properties ?? {})
  const current = asObject(value)
  if (value === undefined && !isRequired) {
    return <AddPart label={label} onAdd={() => onChange(initialOf(schema, root) ?? {})} />
  }
  const fields = properties.map(([name, property]) => (
    <Part
      key={name}
      schema={resolved(property, root)}
      root={root}
      label={name}
      pointer={below(pointer, name)}
      problems={problems}
      isRequired={schema.required?.includes(name) === true}
      value={current[name]}
      onChange={changed => {
        const { [name]: _, ...others } = current
        onChange(changed === undefined ? others : { ...current, [name]: changed })
      }}
    />
  ))
  const own = problemsOfObject(problems, pointer, properties.map(([name]) => name))
  return (
    <Group
      label={label}
      isOptional={!isRequired}
      hint={schema.description}
      problems={own}
      actions={!isRequired && <RemovePart label={label} onRemove={() => onChange(undefined)} />}
    >
      {fields}
    </Group>
  )
}

function ArrayPart ({ schema, root, label, pointer, problems, isRequired, value, onChange }: PartProps) {
  const items = Array.isArray(value) ? (value as unknown[]) : []
  const item = resolved(schema.items, root)
  if (value === undefined && !isRequired) {
    return <AddPart label={label} onAdd={() => onChange([initialOf(item, root)])} />
  }
  return (
    <Group
      label={label}
      isOptional={!isRequired}
      hint={schema.description}
      problems={problemsOfObject(problems, pointer, items.map((_, i) => String(i)))}
      actions={!isRequired && <RemovePart label={label} onRemove={() => onChange(undefined)} />}
    >
      {items.map((current, i) => (
        <div key={i} className='flex items-start gap-2'>
          <div className='min-w-0 flex-1'>
            <Part
              schema={item}
              root={root}
              label={`${label} ${i + 1}`}
              pointer={below(pointer, i)}
              problems={problems}
              isRequired
              value={current}
              onChange={changed => onChange(items.with(i, changed ?? null))}
            />
          </div>
          <RemovePart label={`${label} ${i + 1}`} onRemove={() => onChange(items.toSpliced(i, 1))} />
        </div>
      ))}
      <Button
        className='justify-self-start'
        icon={<Plus size={14} aria-hidden />}
        onClick={() => onChange([...items, initialOf(item, root) ?? null])}
      >
        Add to {label}
      </Button>
    </Group>
  )
}

function VariantsPart (props: PartProps) {
  const { schema, root, label, isRequired, value, onChange } = props
  const variants = variantsOf(schema, root)
  const [chosen, setChosen] = useState(() => variantOf(variants, value))
  const variant = variants[chosen] ?? {}
  if (value === undefined && !isRequired) {
    return <AddPart label={label} onAdd={() => onChange(initialOf(variant, root) ?? null)} />
  }
  return (
    <div className='grid gap-2'>
      <SelectField
        label={`Kind of ${label}`}
        choices={variants.map((one, i) => ({ value: String(i), label: titleOf(one, `Variant ${i + 1}`) }))}
        value={String(chosen)}
        onChange={next => {
          setChosen(Number(next))
          onChange(initialOf(variants[Number(next)] ?? {}, root) ?? null)
        }}
      />
      <Part key={chosen} {...props} schema={variant} />
    </div>
  )
}

const AddPart = ({ label, onAdd }: { label: string; onAdd: () => void }) => (
  <Button className='justify-self-start' icon={<Plus size={14} aria-hidden />} onClick={onAdd}>
    Add {label}
  </Button>
)

const RemovePart = ({ label, onRemove }: { label: string; onRemove: () => void }) => (
  <IconButton label={`Remove ${label}`} icon={<Trash2 size={13} />} className='h-6! w-6!' onClick={onRemove} />
)
