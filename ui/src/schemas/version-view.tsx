import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { Select } from '../components/field.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { Time } from '../components/time.tsx'
import { modeLabel, modeSentences } from './compatibility.ts'
import { schemaPaths, type SchemaVersion } from './frame.tsx'

type Topic = DataOf<'/api/topics/{name}'>

/** One version of a schema, as it is or compared with another one. */
export function VersionView ({
  shown,
  versions,
  topic,
  against,
  onCompare
}: {
  shown: SchemaVersion
  versions: readonly SchemaVersion[]
  topic: Topic
  against: number | undefined
  onCompare: (version: number | undefined) => void
}) {
  const scope = usePageScope()
  const may = useMay()
  const isActive = topic.activeSchemaVersion === shown.version
  const other = versions.find(({ version }) => version === against && version !== shown.version)
  return (
    <section
      aria-label={`Version ${shown.version}`}
      className='min-h-0 min-w-0 overflow-auto border-line bg-surface p-4 max-lg:flex-1 max-lg:border-t lg:flex-[3] lg:border-l'
    >
      <div className='mb-3 flex flex-wrap items-center gap-2'>
        <h2 className='text-lg font-semibold'>Version {shown.version}</h2>
        {isActive && <Badge tone='ok'>Active</Badge>}
        <span className='flex-1' />
        <label className='flex shrink-0 items-center gap-2 text-muted'>
          <span className='shrink-0 whitespace-nowrap'>Compare with</span>
          <Select
            value={other === undefined ? '' : String(other.version)}
            onChange={value => onCompare(value === '' ? undefined : Number(value))}
            choices={[
              { value: '', label: 'nothing' },
              ...versions
                .filter(({ version }) => version !== shown.version)
                .map(({ version }) => ({ value: String(version), label: `version ${version}` }))
            ]}
          />
        </label>
        {may('schemas:create') && (
          <Link
            to={`${scopePath}/schemas/$topic/editor`}
            params={{ ...scope, topic: topic.name }}
            search={{ from: shown.version }}
            className={buttonLook()}
          >
            Edit
          </Link>
        )}
        {may('topics:update') && <Activation topic={topic} version={shown.version} />}
      </div>
      <div className='mb-3'>
        <Properties
          items={[
            ['Compatibility', `${modeLabel(shown.compatibilityMode)}. ${modeSentences[shown.compatibilityMode]}`],
            ['Policy', shown.policy === 'strict' ? 'Strict' : 'Lenient'],
            ['Registered', <Time key='at' at={shown.createdAt} />]
          ]}
        />
      </div>
      {other === undefined
        ? (
          <JsonView value={shown.schema} label={`Schema, version ${shown.version}`} />
          )
        : (
          <>
            <h3 className='mb-1 text-muted'>
              Changes from version {other.version} to version {shown.version}
            </h3>
            <JsonDiff
              before={other.schema}
              after={shown.schema}
              label={`Changes from version ${other.version} to version ${shown.version}`}
            />
          </>
          )}
    </section>
  )
}

/** Activates a version, or ends the check of payloads. */
function Activation ({ topic, version }: { topic: Topic; version: number }) {
  const [isAsking, setAsking] = useState(false)
  const isActive = topic.activeSchemaVersion === version
  const next = isActive ? null : version
  const body = { activeSchemaVersion: next }
  const activate = useAction(
    api => api.PATCH('/api/topics/{name}', { params: { path: { name: topic.name } }, body }),
    {
      invalidates: schemaPaths,
      done: isActive ? 'Payloads are no longer checked' : `Version ${version} activated`,
      onDone: () => setAsking(false)
    }
  )
  return (
    <span className='flex items-center'>
      <CopyAs request={{ method: 'PATCH', path: '/api/topics/{name}', params: { name: topic.name }, body }} />
      <Button kind={isActive ? 'danger' : 'normal'} onClick={() => setAsking(true)}>
        {isActive ? 'Deactivate' : 'Activate'}
      </Button>
      <ConfirmDialog
        title={isActive ? 'Stop checking payloads?' : `Activate version ${version}?`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => activate.mutate(undefined)}
        verb={isActive ? 'Deactivate' : `Activate version ${version}`}
        name={topic.name}
        isBusy={activate.isPending}
      >
        {isActive
          ? `New events of ${topic.name} are stored without a check. The versions stay.`
          : `From now on, payloads of ${topic.name} that are not valid under version ${version} are refused.` +
            (topic.activeSchemaVersion === null ? '' : ` It replaces version ${topic.activeSchemaVersion}.`)}
      </ConfirmDialog>
    </span>
  )
}
