import { ConflictError, type DocumentSnapshot, type LiveDocument } from '@realtime-platform/client'
import { useNavigate } from '@tanstack/react-router'
import { TriangleAlert } from 'lucide-react'
import { useMemo, useState } from 'react'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { Form, useForm } from '../components/form.tsx'
import { JsonEditor } from '../components/json-editor.tsx'
import { problemsIn } from '../components/json-positions.ts'
import { Section } from '../components/page.tsx'
import { showToast } from '../components/toast.tsx'
import { ConflictDialog } from './conflict-dialog.tsx'
import { parseData, toText, type Data } from './data.ts'
import { documentRoute } from './routes.ts'

/**
 * Edits the data of a document. It is saved only on top of the revision that the edit began with; when somebody else
 * writes meanwhile, both sides are shown and nothing is lost.
 */
export function EditDocument ({
  document,
  snapshot
}: {
  document: LiveDocument<Data>
  snapshot: DocumentSnapshot<Data>
}) {
  const navigate = useNavigate({ from: documentRoute.fullPath })
  const { service, id } = document
  const [base, setBase] = useState({ revision: snapshot.revision ?? 0, data: snapshot.confirmed ?? {} })
  const [isResolving, setResolving] = useState(false)
  const [isSaving, setSaving] = useState(false)
  const close = () => navigate({ search: {}, ignoreBlocker: true })

  async function save (data: Data, expectedRevision: number): Promise<void> {
    setSaving(true)
    try {
      // A deleted document is created again, with the next revision.
      const isDeleted = snapshot.status === 'missing'
      const { revision } = await (isDeleted ? document.create(data) : document.replace(data, { expectedRevision }))
      showToast({ text: `Saved as revision ${revision}` })
      await close()
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      setResolving(true)
    } finally {
      setSaving(false)
    }
  }

  const theirs = snapshot.revision ?? 0
  const hasConflict = theirs !== base.revision && !isSaving
  const form = useForm(
    { text: toText(base.data) },
    async ({ text }) => {
      const { data } = parseData(text)
      if (data === undefined) return
      if (hasConflict) setResolving(true)
      else await save(data, base.revision)
    },
    { mayLeave: false }
  )
  const { text } = form.values
  const { data, problem } = parseData(text)
  const problems = useMemo(() => problemsIn(text, form.failure?.details ?? [], '/data'), [text, form.failure])
  const hasChanges = text !== toText(base.data)
  return (
    <Section title={`Edit revision ${base.revision}`}>
      <Form form={form}>
        {hasConflict && (
          <div role='alert' className='flex flex-wrap items-center gap-2 rounded bg-warning-soft px-3 py-2'>
            <TriangleAlert size={16} className='shrink-0 text-warning' aria-hidden />
            <p className='min-w-0 flex-1'>
              {snapshot.status === 'missing'
                ? 'The document was deleted while you edit.'
                : `Revision ${theirs} was written while you edit.`}{' '}
              Your text is kept.
            </p>
            <Button onClick={() => setResolving(true)} disabled={data === undefined}>
              Compare
            </Button>
          </div>
        )}
        <JsonEditor label='Data' value={text} problems={problems} onChange={text => form.set({ text })} />
        {problem !== undefined && <p className='text-critical'>{problem}</p>}
        <Buttons>
          {data !== undefined && (
            <CopyAs
              request={{
                method: 'PUT',
                path: '/api/sync/{service}/documents/{id}',
                params: { service, id },
                body: { data, expectedRevision: base.revision }
              }}
              code={[
                `const document = client.document(${JSON.stringify(service)}, ${JSON.stringify(id)})`,
                `await document.replace(${toText(data)}, { expectedRevision: ${base.revision} })`
              ].join('\n')}
            />
          )}
          <Button
            onClick={() => {
              void close()
            }}
          >
            {hasChanges ? 'Discard' : 'Cancel'}
          </Button>
          <Button
            kind='primary'
            type='submit'
            isBusy={form.isBusy}
            disabled={data === undefined || (!hasChanges && !hasConflict)}
          >
            Save
          </Button>
        </Buttons>
      </Form>
      {isResolving && data !== undefined && (
        <ConflictDialog
          base={base}
          theirs={{ revision: theirs, data: snapshot.confirmed }}
          mine={data}
          isKnown={hasConflict}
          onClose={() => setResolving(false)}
          onSave={merged => save(merged, theirs)}
          onEdit={merged => {
            setBase({ revision: theirs, data: snapshot.confirmed ?? {} })
            form.set({ text: toText(merged) })
            setResolving(false)
          }}
        />
      )}
    </Section>
  )
}
