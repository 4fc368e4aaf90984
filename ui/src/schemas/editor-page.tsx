import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useAction } from '../app/actions.ts'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { Checkbox, SelectField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { JsonEditor, parseJson } from '../components/json-editor.tsx'
import { problemsIn } from '../components/json-positions.ts'
import { Section } from '../components/page.tsx'
import { ErrorState, Refused, Skeleton } from '../components/states.tsx'
import { modeChoices, modeSentences, policyChoices, policySentences } from './compatibility.ts'
import { useDryRun } from './dry-run.ts'
import {
  SchemaFrame,
  schemaPaths,
  useTopicSchema,
  type CompatibilityMode,
  type CompatibilityPolicy,
  type SchemaVersion
} from './frame.tsx'
import { editorRoute } from './routes.ts'
import { VerdictView } from './verdict-view.tsx'

interface Draft {
  text: string
  compatibilityMode: CompatibilityMode
  policy: CompatibilityPolicy
  activate: boolean
}
type JsonSchema = SchemaVersion['schema']

const skeleton = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: { id: { type: 'string', description: 'Identifies the thing that the event is about.' } },
  required: ['id']
}

/** The editor of a topic's next schema version. */
export function EditorPage () {
  const { topic: name } = editorRoute.useParams()
  const { from } = editorRoute.useSearch()
  const may = useMay()
  const { topic, versions } = useTopicSchema(name)
  const error = topic.error ?? versions.error
  const isLoaded = topic.data !== undefined && versions.items !== undefined
  if (!may('schemas:create')) {
    return (
      <SchemaFrame topic={name}>
        <Refused message='Permission required: schemas:create' />
      </SchemaFrame>
    )
  }
  return (
    <SchemaFrame topic={name}>
      {isLoaded
        ? (
          <SchemaEditor key={`${name} ${from}`} topic={topic.data} versions={versions.items ?? []} from={from} />
          )
        : error === null
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
            )}
    </SchemaFrame>
  )
}

function SchemaEditor ({
  topic,
  versions,
  from
}: {
  topic: DataOf<'/api/topics/{name}'>
  versions: readonly SchemaVersion[]
  from: number | undefined
}) {
  const navigate = useNavigate()
  const scope = usePageScope()
  const may = useMay()
  const start =
    versions.find(({ version }) => version === (from ?? topic.activeSchemaVersion)) ?? versions[0] ?? undefined
  const isFirst = versions.length === 0
  const path = { topic: topic.name }
  const register = useAction(
    (api, body: ReturnType<typeof bodyOf>) => api.POST('/api/schemas/{topic}', { params: { path }, body }),
    {
      invalidates: schemaPaths,
      isErrorShown: true,
      done: ({ version }, { activate }) =>
        `Version ${version} registered${activate || isFirst ? ' and activated' : ''}`
    }
  )
  const form = useForm<Draft>(
    {
      text: JSON.stringify(start?.schema ?? skeleton, null, 2),
      compatibilityMode: firstMode(versions[0]?.compatibilityMode),
      policy: versions[0]?.policy ?? 'lenient',
      activate: false
    },
    async draft => {
      const { version } = await register.mutateAsync(bodyOf(draft, JSON.parse(draft.text) as JsonSchema))
      await navigate({
        to: `${scopePath}/schemas/$topic`,
        params: { ...scope, topic: topic.name },
        search: { version, against: versions[0]?.version },
        ignoreBlocker: true
      })
    },
    { mayLeave: false }
  )
  const { values, set } = form
  const parsed = useMemo(() => parseJson(values.text), [values.text])
  const schema = parsed.problem === undefined ? (parsed.value as JsonSchema) : undefined
  const { compatibilityMode, policy } = values
  const verdict = useDryRun(
    `compatibility ${topic.name}`,
    schema === undefined ? undefined : { schema, compatibilityMode, policy },
    (api, body, signal) => api.POST('/api/schemas/{topic}/compatibility', { params: { path }, body, signal })
  )
  const problems = useMemo(() => {
    const refused = verdict.isStale ? [] : (verdict.error?.details ?? [])
    const incompatible = verdict.isStale ? [] : (verdict.data?.changes.filter(({ compatible }) => !compatible) ?? [])
    return [
      ...problemsIn(values.text, refused, '/schema'),
      ...problemsIn(values.text, incompatible).map(problem => ({ ...problem, severity: 'warning' as const }))
    ]
  }, [values.text, verdict.isStale, verdict.error, verdict.data])
  const mayActivate = may('topics:update')
  return (
    <Form form={form}>
      <div className='grid items-start gap-4 lg:grid-cols-2'>
        <Section title={start === undefined ? 'First version' : `New version, from version ${start.version}`}>
          <JsonEditor label='JSON Schema' value={values.text} problems={problems} onChange={text => set({ text })} />
        </Section>
        <div className='grid min-w-0 gap-4'>
          <Section title='Register'>
            <div className='grid gap-4'>
              <div className='grid items-start gap-4 sm:grid-cols-2'>
                <SelectField
                  label='Compatibility'
                  choices={modeChoices}
                  value={values.compatibilityMode}
                  error={form.error('compatibilityMode')}
                  hint={modeSentences[values.compatibilityMode]}
                  onChange={compatibilityMode => set({ compatibilityMode })}
                />
                <SelectField
                  label='Policy'
                  choices={policyChoices}
                  value={values.policy}
                  hint={policySentences[values.policy]}
                  onChange={policy => set({ policy })}
                />
              </div>
              <Checkbox
                label='Activate the version'
                checked={isFirst || values.activate}
                disabled={isFirst || !mayActivate}
                hint={
                  isFirst
                    ? 'The first version of a topic is activated when it is registered.'
                    : 'Payloads are checked against it from then on.'
                }
                onChange={event => set({ activate: event.target.checked })}
              />
              <Buttons>
                {schema !== undefined && (
                  <CopyAs
                    request={{
                      method: 'POST',
                      path: '/api/schemas/{topic}',
                      params: path,
                      body: bodyOf(values, schema)
                    }}
                  />
                )}
                <Button
                  disabled={!form.isChanged}
                  onClick={() => set({ text: JSON.stringify(start?.schema ?? skeleton, null, 2) })}
                >
                  Reset
                </Button>
                <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={schema === undefined}>
                  Register version {(versions[0]?.version ?? 0) + 1}
                </Button>
              </Buttons>
            </div>
          </Section>
          <VerdictView verdict={verdict} schema={schema} problem={parsed.problem} versions={versions} />
        </div>
      </div>
    </Form>
  )
}

/** An exception that was made for the latest version does not become the rule. */
const firstMode = (latest: CompatibilityMode = 'backward'): CompatibilityMode =>
  latest === 'none' ? 'backward' : latest

const bodyOf = ({ compatibilityMode, policy, activate }: Draft, schema: JsonSchema) => ({
  schema,
  compatibilityMode,
  policy,
  ...(activate && { activate })
})
