import type { RealtimeError } from '@realtime-platform/client'
import { CircleCheck, CircleSlash } from 'lucide-react'
import { CopyAs } from '../../components/copy-as.tsx'
import { ErrorNote } from '../../components/error-note.tsx'
import { JsonView } from '../../components/json-view.tsx'
import { Section } from '../../components/page.tsx'
import { Properties } from '../../components/properties.tsx'
import { kindOf, operatorWord, toText } from './column-kinds.ts'
import type { TableColumn } from '../table-names.ts'
import { needsValue, rowsOf, type Group } from './conditions.ts'
import { operations, type Definition, type Operation } from './definition.ts'
import type { RowChange } from './use-dry-run.ts'

type Preview = { matched: boolean; reason: string; event?: { payload?: unknown; meta: Record<string, unknown> } }

/** The event that the row would make, or the reason why it makes none. */
export function ResultPane ({
  definition,
  change,
  preview,
  error,
  isStale,
  condition,
  columns,
  primaryKey,
  onOperation
}: {
  definition: Definition | undefined
  change: RowChange
  preview: Preview | undefined
  error: RealtimeError | null
  isStale: boolean
  condition: Group
  columns: readonly TableColumn[]
  primaryKey: readonly string[]
  onOperation: (operation: Operation) => void
}) {
  return (
    <Section
      title='Result'
      actions={
        <div className='flex items-center gap-1'>
          <div role='radiogroup' aria-label='The change' className='flex rounded border border-line'>
            {operations.map(operation => (
              <button
                key={operation}
                type='button'
                role='radio'
                aria-checked={operation === change.operation}
                className='px-2 py-1 text-xs text-muted aria-checked:bg-selected aria-checked:text-text'
                onClick={() => onOperation(operation)}
              >
                {operation}
              </button>
            ))}
          </div>
          {definition !== undefined && (
            <CopyAs
              request={{
                method: 'POST',
                path: '/api/database/mappings/preview',
                body: { mapping: definition, ...change }
              }}
            />
          )}
        </div>
      }
    >
      <div aria-live='polite' aria-busy={isStale} className='grid gap-3'>
        {error !== null
          ? (
            <ErrorNote error={error} />
            )
          : preview === undefined
            ? (
              <p className='text-muted'>Choose a table and an operation to see the event that this row would make.</p>
              )
            : preview.event === undefined
              ? (
                <>
                  <p className='flex items-start gap-2'>
                    <CircleSlash size={16} className='mt-0.5 shrink-0 text-warning' aria-hidden />
                    <span>
                      <span className='font-medium'>No event.</span> {preview.reason}.
                    </span>
                  </p>
                  <ActualValues condition={condition} row={change.row} columns={columns} />
                  {change.operation === 'update' && /changed|condition/i.test(preview.reason) && (
                    <p className='text-xs text-muted'>
                      The update goes from the sample row to the edited one. Edit a value on the left to change it.
                    </p>
                  )}
                </>
                )
              : (
                <>
                  <p className='flex items-start gap-2'>
                    <CircleCheck size={16} className='mt-0.5 shrink-0 text-ok' aria-hidden />
                    <span>
                      <span className='font-medium'>One event.</span> {preview.reason}.
                    </span>
                  </p>
                  <Properties
                    items={[
                      [
                        'Topic',
                        definition?.topic === '' || definition === undefined
                          ? (
                            <span key='t' className='text-muted'>
                              not chosen yet
                            </span>
                            )
                          : (
                            <code key='t' className='font-mono text-xs'>
                              {definition.topic}
                            </code>
                            )
                      ],
                      [
                        'Key',
                        primaryKey.length === 0
                          ? (
                            <span key='k' className='text-muted'>
                              none: the table has no primary key
                            </span>
                            )
                          : (
                            <code key='k' className='font-mono text-xs'>
                              {keyOf(change.row, primaryKey)}
                            </code>
                            )
                      ]
                    ]}
                  />
                  <JsonView value={preview.event.payload} label='Payload' />
                  <JsonView value={preview.event.meta} label='Meta' />
                </>
                )}
      </div>
    </Section>
  )
}

/** The key of the event: the primary key as text, or an array of texts. */
function keyOf (row: Record<string, unknown>, primaryKey: readonly string[]): string {
  const texts = primaryKey.map(column => toText(row[column]))
  return texts.length === 1 ? (texts[0] ?? '') : JSON.stringify(texts)
}

/** The conditions beside the values that the row has. */
function ActualValues ({
  condition,
  row,
  columns
}: {
  condition: Group
  row: Record<string, unknown>
  columns: readonly TableColumn[]
}) {
  const rows = rowsOf(condition).filter(({ column }) => column in row)
  if (rows.length === 0) return null
  return (
    <ul aria-label='Values of the row' className='grid gap-1 text-xs'>
      {rows.map(({ column, operator, value }, i) => (
        <li key={i} className='break-words'>
          <code className='font-mono'>
            {column} {operatorWord(operator, kindOf(columns.find(({ name }) => name === column)?.type))}
            {needsValue(operator) && ` ${toText(value)}`}
          </code>
          <span className='text-muted'>
            {' '}
            — the row has <code className='font-mono text-text'>{toText(row[column]) || 'null'}</code>
          </span>
        </li>
      ))}
    </ul>
  )
}
