import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { useGet, useList, type ItemOf } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { Select } from '../components/field.tsx'
import { Section } from '../components/page.tsx'
import { Empty, ErrorState, Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { environments } from '../app/api.ts'
import { definitionOf } from './mapping-page.tsx'
import { MappingFrame } from './mapping-frame.tsx'
import type { Status } from './promotion-strip.tsx'
import { versionsRoute } from './routes.ts'

type Version = ItemOf<DataOf<'/api/database/mappings/{id}/versions'>>

/** The versions of a mapping: compare two of them, save another one, roll back to one. */
export function VersionsPage () {
  const { id } = versionsRoute.useParams()
  const scope = usePageScope()
  const may = useMay()
  const [rollingBack, setRollingBack] = useState<Version>()
  const mapping = useGet('/api/database/mappings/{id}', { path: { id } })
  const status = useGet('/api/database/mappings/status', { query: { q: id } })
  const versions = useList('/api/database/mappings/{id}/versions', { path: { id } })
  const own = status.data?.find(one => one.id === id)
  const snapshot = useAction(
    api =>
      api.POST('/api/database/mappings/{id}/versions', {
        params: { path: { id } },
        body: { environment: scope.environment }
      }),
    { invalidates: ['/api/database/mappings'], done: ({ version }) => `Version ${version} saved` }
  )
  const isHome = mapping.data?.environment === scope.environment
  const save = may('mappings:create') && isHome && (
    <Button kind='primary' isBusy={snapshot.isPending} onClick={() => snapshot.mutate(undefined)}>
      Save as a version
    </Button>
  )
  const error = mapping.error ?? versions.error
  return (
    <MappingFrame
      id={id}
      title={mapping.data === undefined ? id : `${mapping.data.table} → ${mapping.data.topic}`}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/database/mappings/{id}/versions', params: { id } }} />
          {save}
        </>
      }
    >
      {error !== null && (versions.items === undefined || mapping.data === undefined)
        ? (
          <ErrorState
            error={error}
            onRetry={() => {
              void mapping.refetch()
              versions.reload()
            }}
          />
          )
        : versions.items === undefined || mapping.data === undefined
          ? (
            <Skeleton lines={5} />
            )
          : versions.items.length === 0
            ? (
              <Empty title='There is no version yet' action={save}>
                A version is a snapshot of the rule. Promoting the mapping takes the first one.
              </Empty>
              )
            : (
              <div className='grid items-start gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]'>
                <Section title='Versions' isPlain>
                  <VersionList versions={versions.items} status={own} onRollBack={setRollingBack} />
                </Section>
                <Comparison versions={versions.items} current={definitionOf(mapping.data)} status={own} />
              </div>
              )}
      {rollingBack !== undefined && mapping.data !== undefined && (
        <RollBack
          id={id}
          version={rollingBack}
          current={definitionOf(mapping.data)}
          onClose={() => setRollingBack(undefined)}
        />
      )}
    </MappingFrame>
  )
}

function VersionList ({
  versions,
  status,
  onRollBack
}: {
  versions: readonly Version[]
  status: Status | undefined
  onRollBack: (version: Version) => void
}) {
  const { environment } = usePageScope()
  const may = useMay()
  return (
    <ul>
      {versions.map(version => (
        <li
          key={version.version}
          className='flex flex-wrap items-center gap-2 border-b border-line/60 px-3 py-2 last:border-0'
        >
          <span className='font-medium'>Version {version.version}</span>
          <RunsIn status={status} version={version.version} />
          <span className='ml-auto text-xs text-muted'>
            from {version.environment}, <Time at={version.createdAt} />
          </span>
          {may('mappings:update') && status !== undefined && !isCurrent(status, environment, version.version) && (
            <Button kind='plain' onClick={() => onRollBack(version)}>
              Roll back to it
            </Button>
          )}
        </li>
      ))}
    </ul>
  )
}

const isCurrent = (status: Status | undefined, environment: keyof Status['environments'], version: number): boolean =>
  status?.environments[environment]?.version === version && !(status.environment === environment && status.changed)

function RunsIn ({ status, version }: { status: Status | undefined; version: number }) {
  return environments
    .filter(environment => isCurrent(status, environment, version))
    .map(environment => (
      <Badge key={environment} tone='info' hasIcon={false}>
        in {environment}
      </Badge>
    ))
}

function Comparison ({
  versions,
  current,
  status
}: {
  versions: readonly Version[]
  current: unknown
  status: Status | undefined
}) {
  const search = versionsRoute.useSearch()
  const navigate = useNavigate({ from: versionsRoute.fullPath })
  const before = search.before ?? versions[0]?.version
  const choices = [
    { value: 'now', label: 'The current rule here' },
    ...versions.map(({ version }) => ({
      value: String(version),
      label: `Version ${version}${placesOf(status, version)}`
    }))
  ]
  const definition = (version: number | undefined) =>
    version === undefined ? current : versions.find(one => one.version === version)?.definition
  const choose = (side: 'before' | 'after', value: string) => {
    const version = value === 'now' ? undefined : Number(value)
    void navigate({ search: { ...search, [side]: version }, replace: true })
  }
  return (
    <Section title='Compare'>
      <div className='grid gap-3'>
        <div className='flex items-center gap-2'>
          <Select
            aria-label='From'
            choices={choices.slice(1)}
            value={String(before)}
            onChange={value => choose('before', value)}
          />
          <span className='text-muted'>to</span>
          <Select
            aria-label='To'
            choices={choices}
            value={search.after === undefined ? 'now' : String(search.after)}
            onChange={value => choose('after', value)}
          />
        </div>
        <JsonDiff label='Differences' before={definition(before)} after={definition(search.after)} />
      </div>
    </Section>
  )
}

function placesOf (status: Status | undefined, version: number): string {
  const places = environments.filter(environment => isCurrent(status, environment, version))
  return places.length === 0 ? '' : `, in ${places.join(' and ')}`
}

function RollBack ({
  id,
  version: { version, definition },
  current,
  onClose
}: {
  id: string
  version: Version
  current: { topic: string }
  onClose: () => void
}) {
  const { environment } = usePageScope()
  const rollBack = useAction(
    api =>
      api.POST('/api/database/mappings/{id}/rollback', {
        params: { path: { id } },
        body: { environment, version }
      }),
    { invalidates: ['/api/database'], done: `${environment} runs version ${version} again`, onDone: onClose }
  )
  return (
    <ConfirmDialog
      title={`Roll ${environment} back to version ${version}`}
      verb={`Roll back to version ${version}`}
      name={current.topic}
      isOpen
      onClose={onClose}
      isBusy={rollBack.isPending}
      onConfirm={() => rollBack.mutate(undefined)}
    >
      <div className='grid gap-2'>
        <p>From the next transaction on, {environment} runs this version.</p>
        <JsonDiff label='Differences' before={current} after={definition} />
      </div>
    </ConfirmDialog>
  )
}
