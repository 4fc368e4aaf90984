import { useId, useState, type ReactNode } from 'react'
import { useGet } from '../../app/queries.ts'
import { Checkbox, Field, TextField, controlLook } from '../../components/field.tsx'
import { JsonEditor } from '../../components/json-editor.tsx'
import { Section } from '../../components/page.tsx'
import { tableName, type Table } from '../table-names.ts'
import { GroupRows } from './condition-rows.tsx'
import { operations, payloadProblem, whenProblem, withRows, withWhenText, type Draft } from './definition.ts'
import { TemplateEditor } from './template-editor.tsx'

interface RulePaneProps {
  draft: Draft
  set: (changes: Partial<Draft>) => void
  tables: readonly Table[] | undefined
  table: Table | undefined
  error: (field: string) => string | undefined
  isReadOnly: boolean
  onTable: (name: string) => void
}

/** The rule: of which changes of which table which event is made. */
export function RulePane (props: RulePaneProps) {
  return (
    <Section title='Rule'>
      <div className='grid gap-5'>
        <Source {...props} />
        <When {...props} />
        <Payload {...props} />
      </div>
    </Section>
  )
}

const Part = ({ title, children }: { title: string; children: ReactNode }) => (
  <div className='grid gap-3'>
    <h3 className='text-xs font-semibold text-muted'>{title}</h3>
    {children}
  </div>
)

function Source ({ draft, set, tables, table, error, isReadOnly, onTable }: RulePaneProps) {
  const listId = useId()
  const topics = useGet('/api/topics', { query: { limit: 200 } }, { staleTime: 30_000 })
  // The mapping may name its table in another form, such as with its schema.
  const names = tables?.map(one => (one === table ? draft.table : tableName(one))) ?? []
  return (
    <div className='grid gap-3 sm:grid-cols-2'>
      <Field label='Table' error={error('table')}>
        {props =>
          tables === undefined
            ? (
              <input
                className={`${controlLook} font-mono text-xs`}
                value={draft.table}
                readOnly={isReadOnly}
                placeholder='orders'
                onChange={event => onTable(event.target.value)}
                {...props}
              />
              )
            : (
              <select
                className={`${controlLook} pr-7 font-mono text-xs`}
                value={draft.table}
                disabled={isReadOnly}
                onChange={event => onTable(event.target.value)}
                {...props}
              >
                {draft.table === '' && <option value=''>Choose a table</option>}
                {draft.table !== '' && !names.includes(draft.table) && <option>{draft.table}</option>}
                {names.map(name => (
                  <option key={name}>{name}</option>
                ))}
              </select>
              )}
      </Field>
      <div>
        <TextField
          label='Topic'
          placeholder='order.changed'
          list={listId}
          value={draft.topic}
          readOnly={isReadOnly}
          error={error('topic')}
          className='font-mono text-xs'
          onChange={event => set({ topic: event.target.value })}
        />
        <datalist id={listId}>
          {topics.data?.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </div>
    </div>
  )
}

function When ({ draft, set, table, error, isReadOnly }: RulePaneProps) {
  const [isJson, setJson] = useState(false)
  const problem = whenProblem(draft)
  const columns = table?.columns ?? []
  return (
    <Part title='When'>
      <fieldset className='flex flex-wrap gap-4' disabled={isReadOnly}>
        <legend className='sr-only'>Operations</legend>
        {operations.map(operation => (
          <Checkbox
            key={operation}
            label={operation}
            checked={draft.events.includes(operation)}
            onChange={event =>
              set({
                events: operations.filter(one =>
                  one === operation ? event.target.checked : draft.events.includes(one)
                )
              })}
          />
        ))}
      </fieldset>
      {(error('events') ?? (draft.events.length === 0 ? 'Choose at least one operation' : undefined)) !==
        undefined && (
          <p role='alert' className='text-critical'>
            {error('events') ?? 'Choose at least one operation'}
          </p>
      )}
      {draft.events.includes('update') && columns.length > 0 && (
        <TriggerColumns
          draft={draft}
          set={set}
          table={table}
          isReadOnly={isReadOnly}
          error={error('triggerColumns')}
        />
      )}
      <div className='grid gap-2'>
        <div className='flex items-center justify-between'>
          <span className='font-medium'>Conditions</span>
          <button
            type='button'
            className='text-xs text-accent underline'
            aria-pressed={isJson}
            onClick={() => setJson(!isJson)}
          >
            {isJson ? 'Hide JSON' : 'Show JSON'}
          </button>
        </div>
        {problem === undefined
          ? (
            <GroupRows
              group={draft.condition}
              columns={columns}
              isDisabled={isReadOnly}
              onChange={condition => set(withRows(draft, condition))}
            />
            )
          : (
            <p role='alert' className='text-critical'>
              {problem}. The rows appear again when the JSON is a condition.
            </p>
            )}
        {(isJson || problem !== undefined) && (
          <JsonEditor
            label='Condition as JSON'
            value={draft.whenText}
            isReadOnly={isReadOnly}
            onChange={whenText => {
              // The editor also reports the texts that the rows have written.
              if (whenText !== draft.whenText) set(withWhenText(draft, whenText))
            }}
          />
        )}
        {error('when') !== undefined && (
          <p role='alert' className='text-critical'>
            {error('when')}
          </p>
        )}
      </div>
    </Part>
  )
}

function TriggerColumns ({
  draft,
  set,
  table,
  isReadOnly,
  error
}: Pick<RulePaneProps, 'draft' | 'set' | 'table' | 'isReadOnly'> & { error: string | undefined }) {
  const chosen = draft.triggerColumns
  const names = [
    ...(table?.columns.map(({ name }) => name) ?? []),
    ...chosen.filter(name => table?.columns.every(column => column.name !== name) === true)
  ]
  return (
    <fieldset disabled={isReadOnly} className='grid gap-1'>
      <legend className='mb-1 font-medium'>Columns changed</legend>
      <div className='flex max-h-32 flex-wrap gap-1 overflow-auto'>
        {names.map(name => {
          const isChosen = chosen.includes(name)
          return (
            <button
              key={name}
              type='button'
              aria-pressed={isChosen}
              className='rounded-sm border border-line px-1.5 py-0.5 font-mono text-xs text-muted aria-pressed:border-accent
                aria-pressed:bg-selected aria-pressed:text-text'
              onClick={() =>
                set({ triggerColumns: isChosen ? chosen.filter(one => one !== name) : [...chosen, name] })}
            >
              {name}
            </button>
          )
        })}
      </div>
      <p className='text-xs text-muted'>
        {chosen.length === 0
          ? 'None chosen: every update counts.'
          : 'An update counts only if one of the chosen columns changed.'}
      </p>
      {error !== undefined && (
        <p role='alert' className='text-critical'>
          {error}
        </p>
      )}
    </fieldset>
  )
}

function Payload ({ draft, set, table, error, isReadOnly }: RulePaneProps) {
  return (
    <Part title='Event'>
      <fieldset className='flex flex-wrap gap-4' disabled={isReadOnly}>
        <legend className='sr-only'>Payload</legend>
        <label className='flex items-center gap-2'>
          <input
            type='radio'
            className='size-4 accent-(--accent)'
            checked={!draft.hasPayload}
            onChange={() => set({ hasPayload: false })}
          />
          The whole row
        </label>
        <label className='flex items-center gap-2'>
          <input
            type='radio'
            className='size-4 accent-(--accent)'
            checked={draft.hasPayload}
            onChange={() => set({ hasPayload: true })}
          />
          A template
        </label>
      </fieldset>
      {draft.hasPayload && (
        <Field
          label='Payload template'
          hint='JSON. Type $ to insert a column: $row.status, $old.status, $event.committedAt.'
          error={payloadProblem(draft) ?? error('payload')}
        >
          {props => (
            <TemplateEditor
              id={props.id}
              describedBy={props['aria-describedby']}
              isInvalid={props['aria-invalid'] === true}
              value={draft.payloadText}
              columns={table?.columns ?? []}
              isReadOnly={isReadOnly}
              onChange={payloadText => set({ payloadText })}
            />
          )}
        </Field>
      )}
      <p className='text-xs text-muted'>
        Key:{' '}
        {table === undefined
          ? (
              'the primary key of the row'
            )
          : table.primaryKey.length === 0
            ? (
                'none, because the table has no primary key. Events of one row are not ordered'
              )
            : (
              <>
                <code className='font-mono'>{table.primaryKey.join(', ')}</code>, the primary key. Events of one row stay
                in order
              </>
              )}
        .
      </p>
    </Part>
  )
}
