import { useNavigate } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { useGet } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Select } from '../components/field.tsx'
import { JsonEditor, parseJson } from '../components/json-editor.tsx'
import { problemsIn } from '../components/json-positions.ts'
import { Section } from '../components/page.tsx'
import { Empty, ErrorState, Skeleton } from '../components/states.tsx'
import { useDryRun } from './dry-run.ts'
import { SchemaFrame, useTopicSchema, type SchemaVersion } from './frame.tsx'
import { validateRoute } from './routes.ts'

/** Checks a payload against a version of the schema while it is pasted or typed. */
export function ValidatePage () {
  const { topic: name } = validateRoute.useParams()
  const { topic, versions } = useTopicSchema(name)
  const error = topic.error ?? versions.error
  return (
    <SchemaFrame topic={name}>
      {versions.items === undefined || topic.data === undefined
        ? (
            error === null
              ? (
                <Skeleton lines={8} />
                )
              : (
                <ErrorState
                  error={error}
                  onRetry={() => {
                    void topic.refetch()
                    versions.reload()
                  }}
                />
                )
          )
        : versions.items.length === 0
          ? (
            <Empty title='The topic has no schema yet'>
              <p>Every payload is accepted. Add a schema in the editor to check them.</p>
            </Empty>
            )
          : (
            <ValidateBox topic={name} versions={versions.items} activeVersion={topic.data.activeSchemaVersion} />
            )}
    </SchemaFrame>
  )
}

function ValidateBox ({
  topic,
  versions,
  activeVersion
}: {
  topic: string
  versions: readonly SchemaVersion[]
  activeVersion: number | null
}) {
  const navigate = useNavigate({ from: validateRoute.fullPath })
  const search = validateRoute.useSearch()
  const version = search.version ?? activeVersion ?? versions[0]?.version ?? 1
  const sample = useGet('/api/topics/{name}/sample', { path: { name: topic } }, { enabled: activeVersion !== null })
  const [typed, setText] = useState<string>()
  const sampleText = sample.data === undefined ? undefined : JSON.stringify(sample.data.payload, null, 2)
  const text = typed ?? sampleText ?? ''
  const parsed = useMemo(() => parseJson(text), [text])
  const isJson = parsed.problem === undefined
  const body = { payload: parsed.value, version }
  const verdict = useDryRun(`validate ${topic}`, isJson ? body : undefined, (api, body, signal) =>
    api.POST('/api/schemas/{topic}/validate', { params: { path: { topic } }, body, signal })
  )
  const errors = verdict.data?.errors
  const problems = useMemo(
    () => (verdict.isStale || errors === undefined ? [] : problemsIn(text, errors)),
    [text, errors, verdict.isStale]
  )
  return (
    <div className='grid gap-4 lg:grid-cols-2'>
      <Section
        title='Payload'
        className='self-start'
        actions={
          <span className='flex items-center gap-2'>
            {sampleText !== undefined && <Button onClick={() => setText(sampleText)}>Use the sample</Button>}
            <CopyAs request={{ method: 'POST', path: '/api/schemas/{topic}/validate', params: { topic }, body }} />
          </span>
        }
      >
        <JsonEditor label='Payload' value={text} problems={problems} onChange={setText} />
        <p className='mt-2 text-xs text-muted'>Paste a payload. It is checked while you type; nothing is stored.</p>
      </Section>
      <Section
        title='Verdict'
        className='self-start'
        actions={
          <span className='flex items-center gap-2'>
            <span role='status' className='shrink-0'>
              {text === ''
                ? null
                : !isJson
                    ? (
                      <Badge tone='critical'>Not JSON</Badge>
                      )
                    : verdict.isStale
                      ? (
                        <Badge>Checking…</Badge>
                        )
                      : verdict.data?.valid === true
                        ? (
                          <Badge tone='ok'>Valid</Badge>
                          )
                        : (
                            verdict.error === null && <Badge tone='critical'>Not valid</Badge>
                          )}
            </span>
            <Select
              aria-label='Version'
              value={String(version)}
              choices={versions.map(({ version }) => ({
                value: String(version),
                label: `Version ${version}${version === activeVersion ? ' (active)' : ''}`
              }))}
              onChange={value => {
                void navigate({ search: { version: Number(value) }, replace: true })
              }}
            />
          </span>
        }
      >
        {text === ''
          ? (
            <p className='text-muted'>Nothing to check yet.</p>
            )
          : !isJson
              ? (
                <p className='text-critical'>{parsed.problem}</p>
                )
              : verdict.error !== null
                ? (
                  <ErrorNote error={verdict.error} />
                  )
                : verdict.data === undefined
                  ? (
                    <Skeleton lines={2} />
                    )
                  : verdict.data.valid
                    ? (
                      <p className='text-muted'>The payload is valid under version {verdict.data.version}.</p>
                      )
                    : (
                      <Errors errors={verdict.data.errors} />
                      )}
      </Section>
    </div>
  )
}

function Errors ({ errors }: { errors: readonly { path: string; message: string; keyword: string }[] }) {
  return (
    <ul className='grid gap-2'>
      {errors.map(({ path, message, keyword }, i) => (
        <li key={i} className='grid gap-0.5 border-l-2 border-critical pl-3 break-words'>
          <span>{message}</span>
          <span className='flex flex-wrap gap-x-3 text-xs text-muted'>
            <code className='font-mono text-text'>{path || '/'}</code>
            {keyword}
          </span>
        </li>
      ))}
    </ul>
  )
}
