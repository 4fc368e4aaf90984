import { ChevronDown, ChevronRight } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { CopyButton } from './code.tsx'

/** Renders the name of a field, given its dotted path. It may be a button. */
export type NameRenderer = (name: string, path: string, value: unknown) => ReactNode

/** Shows a JSON value as a tree that folds. Everything is rendered as text. */
export function JsonView ({
  value,
  label = 'JSON',
  renderName
}: {
  value: unknown
  label?: string
  renderName?: NameRenderer
}) {
  return (
    <div role='group' aria-label={label} className='relative rounded border border-line bg-sunken'>
      <div
        tabIndex={0}
        role='region'
        aria-label={`${label}, scrollable`}
        className='max-h-[60vh] overflow-auto py-2 pr-9 pl-2 font-mono text-xs leading-5'
      >
        <Node value={value} depth={0} path='' renderName={renderName} />
      </div>
      <CopyButton
        text={() => JSON.stringify(value, null, 2)}
        label='Copy as JSON'
        className='absolute top-1 right-1'
      />
    </div>
  )
}

const foldedDepth = 3
const shownItems = 200

function Node ({
  name,
  value,
  depth,
  path,
  renderName,
  isLast = true
}: {
  name?: string | undefined
  value: unknown
  depth: number
  path: string
  renderName: NameRenderer | undefined
  isLast?: boolean
}) {
  const [isOpen, setOpen] = useState(depth < foldedDepth)
  const [shown, setShown] = useState(shownItems)
  const comma = isLast ? '' : ','
  const prefix =
    name === undefined
      ? null
      : (
        <>{renderName?.(name, path, value) ?? <span className='text-info'>{JSON.stringify(name)}</span>}: </>
        )
  if (typeof value !== 'object' || value === null) {
    return (
      <Line depth={depth}>
        {prefix}
        <Scalar value={value} />
        {comma}
      </Line>
    )
  }
  const isArray = Array.isArray(value)
  const [open, close] = isArray ? '[]' : '{}'
  const entries = isArray ? value.map(item => [undefined, item] as const) : Object.entries(value)
  if (entries.length === 0) {
    return (
      <Line depth={depth}>
        {prefix}
        {open}
        {close}
        {comma}
      </Line>
    )
  }
  const Icon = isOpen ? ChevronDown : ChevronRight
  return (
    <>
      <Line depth={depth}>
        <button
          type='button'
          aria-expanded={isOpen}
          aria-label={`${isOpen ? 'Fold' : 'Unfold'} ${name ?? 'the value'}`}
          className='-ml-3.5 inline-block w-3.5 align-[-2px] text-muted'
          onClick={() => setOpen(!isOpen)}
        >
          <Icon size={12} aria-hidden />
        </button>
        {prefix}
        {open}
        {!isOpen && (
          <>
            <button type='button' className='rounded-sm bg-hover px-1 text-muted' onClick={() => setOpen(true)}>
              {entries.length} {isArray ? 'items' : 'fields'}
            </button>
            {close}
            {comma}
          </>
        )}
      </Line>
      {isOpen && (
        <>
          {entries.slice(0, shown).map(([key, item], i) => (
            <Node
              key={key ?? i}
              name={key}
              value={item}
              depth={depth + 1}
              path={path === '' ? String(key ?? i) : `${path}.${key ?? i}`}
              renderName={renderName}
              isLast={i === entries.length - 1}
            />
          ))}
          {entries.length > shown && (
            <Line depth={depth + 1}>
              <button
                type='button'
                className='rounded-sm bg-hover px-1 text-muted'
                onClick={() => setShown(shown + 1000)}
              >
                {entries.length - shown} more
              </button>
            </Line>
          )}
          <Line depth={depth}>
            {close}
            {comma}
          </Line>
        </>
      )}
    </>
  )
}

const Line = ({ depth, children }: { depth: number; children: ReactNode }) => (
  <div className='break-words whitespace-pre-wrap' style={{ paddingLeft: depth * 14 + 14 }}>
    {children}
  </div>
)

function Scalar ({ value }: { value: unknown }) {
  const look = typeof value === 'string' ? 'text-ok' : value === null ? 'text-muted' : 'text-warning'
  return <span className={look}>{JSON.stringify(value)}</span>
}
