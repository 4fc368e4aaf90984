import { useState, type ReactNode } from 'react'
import { useGet } from '../../app/queries.ts'
import { CopyAs } from '../../components/copy-as.tsx'
import { ErrorNote } from '../../components/error-note.tsx'
import { Form, type FormState } from '../../components/form.tsx'
import { Section } from '../../components/page.tsx'
import { findTable } from '../table-names.ts'
import { ColumnsPane } from './columns-pane.tsx'
import { toDefinition, type Draft, type Operation } from './definition.ts'
import { Problems } from './problems.tsx'
import { ResultPane } from './result-pane.tsx'
import { RulePane } from './rule-pane.tsx'
import { useSample, type SampleRow } from './sample.ts'
import { withColumn } from './template-editor.tsx'
import { useCheck, usePreview } from './use-dry-run.ts'

const fields = ['table', 'topic', 'events', 'triggerColumns', 'when', 'payload']

/**
 * Builds a mapping in three columns: the table's columns with a sample row, the rule, and the event that the row would
 * make. The server evaluates the rule while one types.
 */
export function Builder ({
  form,
  isReadOnly = false,
  actions
}: {
  form: FormState<Draft>
  isReadOnly?: boolean
  actions: ReactNode
}) {
  const { values: draft, set } = form
  const tables = useGet('/api/database/tables', undefined, { staleTime: 30_000 })
  const table = findTable(tables.data, draft.table)
  const sample = useSample(draft.table, table)
  const [index, setIndex] = useState(0)
  const [edits, setEdits] = useState<SampleRow>({})
  const [chosen, setOperation] = useState<Operation>()
  const operation = chosen ?? (draft.events.includes('update') ? 'update' : draft.events[0]) ?? 'insert'
  const definition = toDefinition(draft)
  const before = sample.rows[Math.min(index, sample.rows.length - 1)] ?? {}
  const after = { ...before, ...edits }
  // The old values are known only with the full replica identity, as in the stream.
  const hasOld = operation === 'update' && (table === undefined || table.replicaIdentity === 'full')
  const change = { operation, row: operation === 'delete' ? before : after, ...(hasOld && { oldRow: before }) }
  const isReady = table !== undefined && !sample.isLoading
  const preview = usePreview(isReady ? definition : undefined, change)
  const check = useCheck(definition)
  const refusal = check.error?.code === 'VALIDATION_ERROR' || check.error?.status === 400 ? check.error : null
  const error = (field: string): string | undefined =>
    form.error(field) ?? (check.isPlaceholderData ? undefined : detailOf(refusal?.details, field))
  const problems = check.data?.problems.filter(({ code }) => code !== 'TOPIC_NOT_FOUND' || draft.topic !== '') ?? []
  return (
    <Form form={form} fields={fields} className='grid gap-4'>
      {tables.error !== null && tables.data === undefined && (
        <p role='status' className='rounded border border-line bg-warning-soft px-3 py-2'>
          {tables.error.message}. Without it, there are no columns to choose from and no row to try the rule on.
        </p>
      )}
      <div
        className='grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,5fr)_minmax(0,4fr)]'
        onKeyDown={event => {
          // Enter in one of the many inputs must not save the mapping; Ctrl+Enter and ⌘Enter do.
          if (event.key === 'Enter' && !event.metaKey && !event.ctrlKey && event.target instanceof HTMLInputElement) {
            event.preventDefault()
          }
        }}
      >
        <ColumnsPane
          table={table}
          sample={sample}
          isLoading={tables.isPending}
          index={index}
          edits={edits}
          onIndex={next => {
            setIndex(next)
            setEdits({})
          }}
          onEdits={setEdits}
          onInsert={
            isReadOnly
              ? undefined
              : column => set({ hasPayload: true, payloadText: withColumn(draft.payloadText, column) })
          }
        />
        <RulePane
          draft={draft}
          set={set}
          tables={tables.data}
          table={table}
          error={error}
          isReadOnly={isReadOnly}
          onTable={name => {
            set({ table: name, triggerColumns: [] })
            setIndex(0)
            setEdits({})
          }}
        />
        <ResultPane
          definition={definition}
          change={change}
          preview={isReady && definition !== undefined ? preview.data : undefined}
          error={isReady && refusal === null ? preview.error : null}
          isStale={preview.isFetching}
          condition={draft.condition}
          columns={table?.columns ?? []}
          primaryKey={table?.primaryKey ?? []}
          onOperation={setOperation}
        />
      </div>
      {problems.length > 0 && definition !== undefined && (
        <Section title='Warnings'>
          <Problems problems={problems} topic={draft.topic} />
        </Section>
      )}
      {check.error !== null && refusal === null && <ErrorNote error={check.error} />}
      <div
        className='sticky bottom-0 z-10 -mx-4 flex flex-wrap items-center justify-end gap-2 border-t border-line bg-page
        px-4 py-2 md:-mx-6 md:px-6'
      >
        {definition !== undefined && (
          <CopyAs request={{ method: 'POST', path: '/api/database/mappings', body: definition }} />
        )}
        {actions}
      </div>
    </Form>
  )
}

/** The message of the first detail of a field, with the rest of its path. */
function detailOf (
  details: readonly { path?: string; message?: string }[] | undefined,
  field: string
): string | undefined {
  const found = details?.find(({ path = '' }) => path.split('/')[1] === field)
  if (found === undefined) return undefined
  const rest = (found.path ?? '').split('/').slice(2).join('.')
  return rest === '' ? found.message : `${rest}: ${found.message ?? ''}`
}
