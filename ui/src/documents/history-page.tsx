import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { DocumentSnapshot, LiveDocument } from '@realtime-platform/client'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge, type Tone } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs, type Request } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { DetailPanel, WithPanel } from '../components/detail-panel.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { showToast } from '../components/toast.tsx'
import type { Data } from './data.ts'
import { DocumentFrame } from './document-frame.tsx'
import { useHistory, type Revision } from './history.ts'
import { useLiveDocument } from './live-document.ts'
import { historyRoute } from './routes.ts'
import { toRealtimeError } from './to-realtime-error.ts'

const looks: Record<Revision['kind'], [Tone, string]> = {
  created: ['ok', 'Created'],
  updated: ['info', 'Updated'],
  deleted: ['neutral', 'Deleted']
}

/** Each revision of a document that the log keeps, with its changes. An earlier one can be restored. */
export function HistoryPage () {
  const { service, id } = historyRoute.useParams()
  const search = historyRoute.useSearch()
  const navigate = useNavigate({ from: historyRoute.fullPath })
  const scope = usePageScope()
  const { document, snapshot } = useLiveDocument(service, id)
  const history = useHistory(service, id, snapshot.revision)
  const shown = history.revisions?.find(({ revision }) => revision === search.revision)
  const oldest = history.revisions?.at(-1)?.revision ?? 1
  const to = `${scopePath}/documents/$service/$id/history` as const
  return (
    <DocumentFrame
      service={service}
      id={id}
      isFilled
      actions={
        <CopyAs
          request={{
            method: 'GET',
            path: '/api/topics/{name}/events',
            params: { name: `sync.${service}.updated` },
            query: { key: id, order: 'desc' }
          }}
        />
      }
    >
      <WithPanel
        panel={
          shown === undefined
            ? null
            : (
              <RevisionPanel
                key={shown.revision}
                shown={shown}
                document={document}
                snapshot={snapshot}
                onClose={() => {
                  void navigate({ search: {} })
                }}
              />
              )
        }
      >
        <DataList
          name='document-history'
          label='Revisions'
          rows={history.revisions}
          columns={columns}
          rowKey={({ revision }) => String(revision)}
          openKey={search.revision === undefined ? undefined : String(search.revision)}
          link={({ revision }) => ({ to, params: { ...scope, service, id }, search: { revision } })}
          error={history.error}
          onRetry={history.reload}
          hasMore={history.hasMore}
          isLoadingMore={history.isLoadingMore}
          loadMore={history.loadMore}
          toolbar={
            oldest > 1 &&
            !history.hasMore && (
              <span className='text-muted'>
                {oldest === 2 ? 'Revision 1 is' : `Revisions 1 to ${oldest - 1} are`} no longer in the log.
              </span>
            )
          }
          empty={
            <Empty title='The log has no revision of this document'>
              <p>Events are kept for a limited time, 72 hours by default. The next write appears here.</p>
            </Empty>
          }
        />
      </WithPanel>
    </DocumentFrame>
  )
}

const columns: Column<Revision>[] = [
  {
    id: 'revision',
    header: 'Revision',
    cell: ({ revision }) => `Revision ${revision.toLocaleString('en')}`,
    value: ({ revision }) => revision,
    width: '7rem'
  },
  {
    id: 'kind',
    header: 'Event',
    cell: ({ kind }) => <Badge tone={looks[kind][0]}>{looks[kind][1]}</Badge>,
    value: ({ kind }) => kind,
    width: '6.5rem'
  },
  {
    id: 'changed',
    header: 'Changed parts',
    cell: ({ changed, reason }) => (
      <span className='font-mono text-xs text-muted'>{reason ?? (changed.join('  ') || '')}</span>
    ),
    value: ({ changed }) => changed,
    width: 'minmax(10rem, 3fr)'
  },
  { id: 'at', header: 'Time', cell: ({ at }) => <Time at={at} />, value: ({ at }) => at, width: '9rem' },
  { id: 'data', header: 'Data', cell: ({ data }) => JSON.stringify(data), value: ({ data }) => data, isHidden: true }
]

function RevisionPanel ({
  shown,
  document,
  snapshot,
  onClose
}: {
  shown: Revision
  document: LiveDocument<Data>
  snapshot: DocumentSnapshot<Data>
  onClose: () => void
}) {
  const may = useMay()
  const isCurrent = snapshot.confirmed !== undefined && snapshot.revision === shown.revision
  const mayRestore = may(snapshot.confirmed === undefined ? 'documents:create' : 'documents:update')
  return (
    <DetailPanel
      title={`Revision ${shown.revision}`}
      onClose={onClose}
      actions={
        isCurrent
          ? (
            <Badge tone='ok'>Current</Badge>
            )
          : (
              mayRestore &&
          snapshot.status !== 'loading' && <Restore shown={shown} document={document} snapshot={snapshot} />
            )
      }
    >
      <div className='grid gap-4'>
        <Properties
          items={[
            [
              'Event',
              <Badge key='kind' tone={looks[shown.kind][0]}>
                {looks[shown.kind][1]}
              </Badge>
            ],
            ['Time', <Time key='at' at={shown.at} isExact />],
            shown.reason !== undefined && ['Reason', shown.reason]
          ]}
        />
        {shown.kind === 'updated' && (
          <div>
            <h3 className='mb-1 font-medium'>Changes</h3>
            {shown.before === undefined
              ? (
                <p className='text-muted'>The revision before is no longer in the log.</p>
                )
              : (
                <JsonDiff before={shown.before} after={shown.data} label={`Changes of revision ${shown.revision}`} />
                )}
          </div>
        )}
        <div>
          <h3 className='mb-1 font-medium'>{shown.kind === 'deleted' ? 'Last data' : 'Data'}</h3>
          <JsonView value={shown.data} label={`Data of revision ${shown.revision}`} />
        </div>
      </div>
    </DetailPanel>
  )
}

/** Writes the data of an earlier revision again, as the next revision. */
function Restore ({
  shown,
  document,
  snapshot
}: {
  shown: Revision
  document: LiveDocument<Data>
  snapshot: DocumentSnapshot<Data>
}) {
  const [isAsking, setAsking] = useState(false)
  const { service, id } = document
  const isDeleted = snapshot.confirmed === undefined
  const expectedRevision = snapshot.revision ?? 0
  const restore = async () => {
    setAsking(false)
    try {
      const { revision } = await (isDeleted
        ? document.create(shown.data)
        : document.replace(shown.data, { expectedRevision }))
      showToast({ text: `Restored as revision ${revision}` })
    } catch (error) {
      const failure = toRealtimeError(error)
      showToast({ text: failure.message, error: failure })
    }
  }
  const request: Request = isDeleted
    ? {
        method: 'POST',
        path: '/api/sync/{service}/documents',
        params: { service },
        body: { id, data: shown.data }
      }
    : {
        method: 'PUT',
        path: '/api/sync/{service}/documents/{id}',
        params: { service, id },
        body: { data: shown.data, expectedRevision }
      }
  return (
    <>
      <CopyAs request={request} />
      <Button onClick={() => setAsking(true)}>Restore</Button>
      <ConfirmDialog
        title={`Restore revision ${shown.revision}?`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => {
          void restore()
        }}
        verb={`Restore revision ${shown.revision}`}
        name={id}
      >
        <p className='mb-2'>
          {isDeleted
            ? 'The document is created again with this data.'
            : 'The data is written as the next revision. The revisions in between stay in the history:'}
        </p>
        {!isDeleted && <JsonDiff before={snapshot.confirmed} after={shown.data} label='Changes by the restore' />}
      </ConfirmDialog>
    </>
  )
}
