import type { DocumentSnapshot, LiveDocument } from '@realtime-platform/client'
import { Link } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Empty, ErrorState, Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { showToast } from '../components/toast.tsx'
import type { Data } from './data.ts'
import { DocumentFrame } from './document-frame.tsx'
import { EditDocument } from './edit-document.tsx'
import { useLiveDocument } from './live-document.ts'
import { documentRoute } from './routes.ts'
import { toRealtimeError } from './to-realtime-error.ts'
import { Viewers } from './viewers.tsx'

/** A document as it is now: its data change while it is shown. */
export function DocumentPage () {
  const { service, id } = documentRoute.useParams()
  const isEditing = documentRoute.useSearch().edit === true
  const { document, snapshot } = useLiveDocument(service, id)
  const scope = usePageScope()
  const may = useMay()
  const params = { service, id }
  const { data, confirmed, revision, status, error } = snapshot
  const mayUpdate = may('documents:update')
  // An editor stays open when the document is deleted under it.
  const [wasOpen, setWasOpen] = useState(false)
  const isPresent = confirmed !== undefined
  useEffect(() => {
    setWasOpen(was => isEditing && (was || isPresent))
  }, [isEditing, isPresent])
  const isOpen = isEditing && mayUpdate && (isPresent || wasOpen)
  return (
    <DocumentFrame
      {...params}
      actions={
        data !== undefined &&
        !isEditing && (
          <>
            <CopyAs
              request={{ method: 'GET', path: '/api/sync/{service}/documents/{id}', params }}
              code={liveCode(service, id)}
            />
            {may('documents:delete') && <DeleteDocument document={document} revision={revision} />}
            {mayUpdate && (
              <Link
                to={`${scopePath}/documents/$service/$id`}
                params={{ ...scope, ...params }}
                search={{ edit: true }}
                className={buttonLook('primary')}
              >
                Edit
              </Link>
            )}
          </>
        )
      }
    >
      {status === 'failed' && error !== undefined
        ? (
          <ErrorState error={error} />
          )
        : status === 'loading'
          ? (
            <Skeleton lines={8} />
            )
          : (
            <div className='grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_20rem]'>
              {isOpen
                ? (
                  <EditDocument key={`${service}/${id}`} document={document} snapshot={snapshot} />
                  )
                : data === undefined
                  ? (
                    <Missing service={service} id={id} revision={revision} />
                    )
                  : (
                    <Section title='Data'>
                      <JsonView value={data} label='Data' />
                    </Section>
                    )}
              <div className='grid gap-4'>
                <Facts service={service} id={id} snapshot={snapshot} />
                <Viewers service={service} id={id} isEditing={isOpen} />
              </div>
            </div>
            )}
    </DocumentFrame>
  )
}

const states = {
  loading: ['neutral', 'Loading'],
  live: ['ok', 'Live'],
  stale: ['warning', 'Not live'],
  missing: ['neutral', 'Does not exist'],
  failed: ['critical', 'Failed']
} as const

function Facts ({ service, id, snapshot }: { service: string; id: string; snapshot: DocumentSnapshot<Data> }) {
  const { revision, status, pending, error, confirmed } = snapshot
  const isPresent = confirmed !== undefined
  const stored = useGet('/api/sync/{service}/documents/{id}', { path: { service, id } }, { enabled: isPresent })
  const { refetch } = stored
  useEffect(() => {
    if (isPresent) void refetch()
  }, [revision, isPresent, refetch])
  const [tone, label] = states[status]
  return (
    <Section title='Document'>
      <Properties
        items={[
          [
            'State',
            <span key='state' role='status' className='inline-flex flex-wrap gap-1'>
              <Badge tone={tone}>{label}</Badge>
              {pending > 0 && <Badge tone='info'>{pending} saving</Badge>}
            </span>
          ],
          ['Revision', revision === undefined || revision === 0 ? '–' : revision.toLocaleString('en')],
          isPresent && ['Changed', <Time key='at' at={stored.data?.updatedAt} />],
          isPresent && ['Created', <Time key='at' at={stored.data?.createdAt} />],
          stored.data?.expiresAt !== undefined && ['Expires', <Time key='at' at={stored.data.expiresAt} />],
          isPresent && ['Size', `${new Blob([JSON.stringify(confirmed)]).size.toLocaleString('en')} bytes`]
        ]}
      />
      {error !== undefined && status === 'stale' && <p className='mt-2 text-warning'>{error.message}</p>}
    </Section>
  )
}

function Missing ({ service, id, revision }: { service: string; id: string; revision: number | undefined }) {
  const scope = usePageScope()
  return (
    <Empty
      title={revision === undefined || revision === 0 ? 'The document does not exist' : 'The document was deleted'}
      action={
        <Link
          to={`${scopePath}/documents/$service/$id/history`}
          params={{ ...scope, service, id }}
          className={buttonLook('primary')}
        >
          Show its history
        </Link>
      }
    >
      <p>It appears here as soon as it is created. An earlier revision can be restored from the history.</p>
    </Empty>
  )
}

function DeleteDocument ({ document, revision }: { document: LiveDocument<Data>; revision: number | undefined }) {
  const [isAsking, setAsking] = useState(false)
  const remove = async () => {
    setAsking(false)
    try {
      await document.delete(revision === undefined ? {} : { expectedRevision: revision })
      showToast({ text: 'Document deleted' })
    } catch (error) {
      const failure = toRealtimeError(error)
      showToast({ text: failure.message, error: failure })
    }
  }
  const { service, id } = document
  return (
    <>
      <Button kind='danger' onClick={() => setAsking(true)}>
        Delete
      </Button>
      <ConfirmDialog
        title={`Delete ${id}?`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => {
          void remove()
        }}
        verb='Delete document'
        name={id}
      >
        <p>
          Readers get 404 and an event on sync.{service}.deleted. While the log keeps its events, the document can be
          restored from its history.
        </p>
        <p className='mt-2 flex items-center'>
          <CopyAs
            request={{ method: 'DELETE', path: '/api/sync/{service}/documents/{id}', params: { service, id } }}
          />
          Copy as code
        </p>
      </ConfirmDialog>
    </>
  )
}

const liveCode = (service: string, id: string): string =>
  [
    `const document = client.document(${JSON.stringify(service)}, ${JSON.stringify(id)})`,
    'const stop = document.subscribe(() => console.log(document.revision, document.data))'
  ].join('\n')
