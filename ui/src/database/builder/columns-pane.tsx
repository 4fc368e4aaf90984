import { clsx } from 'clsx'
import { ChevronLeft, ChevronRight, Plus, RotateCw, Undo2 } from 'lucide-react'
import { Button, IconButton } from '../../components/button.tsx'
import { controlLook, Select } from '../../components/field.tsx'
import { Section } from '../../components/page.tsx'
import { Skeleton } from '../../components/states.tsx'
import type { Table, TableColumn } from '../table-names.ts'
import { fromText, kindOf, toText } from './column-kinds.ts'
import type { Sample, SampleRow } from './sample.ts'

/** The table's columns with their types and the values of a sample row, which can be edited to try other rows. */
export function ColumnsPane ({
  table,
  sample,
  index,
  edits,
  onIndex,
  onEdits,
  onInsert,
  isLoading
}: {
  table: Table | undefined
  isLoading: boolean
  sample: Sample
  index: number
  edits: SampleRow
  onIndex: (index: number) => void
  onEdits: (edits: SampleRow) => void
  /** Adds the column to the payload. */
  onInsert: ((column: string) => void) | undefined
}) {
  const row = sample.rows[index] ?? {}
  const isEdited = Object.keys(edits).length > 0
  return (
    <Section
      title='Row'
      isPlain
      actions={
        table !== undefined && (
          <div className='flex items-center gap-1'>
            {isEdited && (
              <Button kind='plain' icon={<Undo2 size={14} aria-hidden />} onClick={() => onEdits({})}>
                Reset
              </Button>
            )}
            {sample.isReal && (
              <>
                <IconButton
                  label='Previous sample row'
                  icon={<ChevronLeft size={15} />}
                  disabled={index === 0}
                  onClick={() => onIndex(index - 1)}
                />
                <span className='text-xs text-muted'>
                  {index + 1} of {sample.rows.length}
                </span>
                <IconButton
                  label='Next sample row'
                  icon={<ChevronRight size={15} />}
                  disabled={index >= sample.rows.length - 1}
                  onClick={() => onIndex(index + 1)}
                />
              </>
            )}
            <IconButton label='Read the rows again' icon={<RotateCw size={14} />} onClick={sample.reload} />
          </div>
        )
      }
    >
      {isLoading || sample.isLoading
        ? (
          <div className='p-3'>
            <Skeleton lines={6} />
          </div>
          )
        : table === undefined
          ? (
            <p className='p-3 text-muted'>Choose a table to see its columns and a row of it.</p>
            )
          : (
            <>
              <ul aria-label='Columns'>
                {table.columns.map(column => (
                  <ColumnValue
                    key={column.name}
                    column={column}
                    isKey={table.primaryKey.includes(column.name)}
                    value={row[column.name]}
                    isInRow={column.name in row}
                    edits={edits}
                    onEdits={onEdits}
                    onInsert={onInsert}
                  />
                ))}
              </ul>
              <p className='p-3 text-xs text-muted'>
                {sample.reason ?? 'A row of the table. Edit a value to see which event another row would make.'}
              </p>
            </>
            )}
    </Section>
  )
}

function ColumnValue ({
  column: { name, type, generated },
  isKey,
  value,
  isInRow,
  edits,
  onEdits,
  onInsert
}: {
  column: TableColumn
  isKey: boolean
  value: unknown
  isInRow: boolean
  edits: SampleRow
  onEdits: (edits: SampleRow) => void
  onInsert: ((column: string) => void) | undefined
}) {
  const kind = kindOf(type)
  const isEdited = name in edits
  const shown = isEdited ? edits[name] : value
  const change = (next: unknown) => {
    const { [name]: _, ...others } = edits
    onEdits(JSON.stringify(next) === JSON.stringify(value) ? others : { ...others, [name]: next })
  }
  return (
    <li
      className={clsx(
        'grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-2 gap-y-0.5 border-b border-line/60 px-3 py-1.5',
        isEdited && 'bg-selected'
      )}
    >
      <span className='flex min-w-0 items-baseline gap-2'>
        <code className='max-w-3/4 shrink-0 truncate font-mono text-xs font-medium' title={name}>{name}</code>
        <span className='truncate text-xs text-muted' title={type}>
          {type}
          {isKey && ' · key'}
          {generated && ' · generated'}
        </span>
      </span>
      {onInsert === undefined
        ? (
          <span />
          )
        : (
          <IconButton
            label={`Add ${name} to the payload`}
            icon={<Plus size={13} />}
            className='size-6! h-6!'
            onClick={() => onInsert(name)}
          />
          )}
      <span className='col-span-2'>
        {!isInRow
          ? (
            <span className='text-xs text-muted'>not in the stream</span>
            )
          : kind === 'boolean'
            ? (
              <Select
                aria-label={`Value of ${name}`}
                className='h-7! font-mono text-xs'
                choices={[
                  { value: 'null', label: 'null' },
                  { value: 'true', label: 'true' },
                  { value: 'false', label: 'false' }
                ]}
                value={shown === true ? 'true' : shown === false ? 'false' : 'null'}
                onChange={text => change(text === 'null' ? null : text === 'true')}
              />
              )
            : (
              <input
                aria-label={`Value of ${name}`}
                className={clsx(controlLook, 'h-7! font-mono text-xs')}
                placeholder='null'
                spellCheck={false}
                autoComplete='off'
                value={toText(shown)}
                onChange={event => change(event.target.value === '' ? null : fromText(event.target.value, kind))}
              />
              )}
        {isEdited && <span className='text-xs text-muted'>was {toText(value) || 'null'}</span>}
      </span>
    </li>
  )
}
