import { useNavigate } from '@tanstack/react-router'
import { Link } from '@tanstack/react-router'
import { Trash2 } from 'lucide-react'
import { useState } from 'react'
import { read, type DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button, IconButton } from '../components/button.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { Buttons, ConfirmDialog, Dialog } from '../components/dialog.tsx'
import { useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { Builder } from './builder/builder.tsx'
import { toDefinition, toDraft, type Definition } from './builder/definition.ts'
import { Problems } from './builder/problems.tsx'
import { MappingFrame } from './mapping-frame.tsx'
import { PromotionStrip } from './promotion-strip.tsx'
import { mappingRoute } from './routes.ts'

type Mapping = DataOf<'/api/database/mappings/{id}'>

/** One mapping: its rule, and what each environment runs of it. */
export function MappingPage () {
  const { id } = mappingRoute.useParams()
  const mapping = useGet('/api/database/mappings/{id}', { path: { id } })
  return (
    <MappingFrame
      id={id}
      title={mapping.data === undefined ? id : `${mapping.data.table} → ${mapping.data.topic}`}
      actions={mapping.data !== undefined && <DeleteMapping mapping={mapping.data} />}
    >
      <Loaded query={mapping}>{data => <LoadedMapping key={id} mapping={data} />}</Loaded>
    </MappingFrame>
  )
}

function LoadedMapping ({ mapping }: { mapping: Mapping }) {
  const scope = usePageScope()
  const may = useMay()
  const [theirs, setTheirs] = useState<Mapping>()
  const [known, setKnown] = useState(mapping.updatedAt)
  const { id } = mapping
  const isHome = mapping.environment === scope.environment
  const status = useGet('/api/database/mappings/status', { query: { q: id } }, { refetchInterval: 10_000 })
  const own = status.data?.find(one => one.id === id)
  const save = useAction(
    (api, definition: Definition) =>
      api.PATCH('/api/database/mappings/{id}', {
        params: { path: { id } },
        body: { ...definition, triggerColumns: null, when: null, payload: null, ...definition } as Definition
      }),
    { invalidates: ['/api/database'], done: 'Mapping saved', isErrorShown: true }
  )
  const store = async (definition: Definition) => {
    const { updatedAt } = await save.mutateAsync(definition)
    setKnown(updatedAt)
  }
  const form = useForm(
    toDraft(definitionOf(mapping)),
    async draft => {
      const definition = toDefinition(draft)
      if (definition === undefined) return
      const { data } = await read(scope, '/api/database/mappings/{id}', { path: { id } })
      if (data.updatedAt !== known) setTheirs(data)
      else await store(definition)
    },
    { mayLeave: false }
  )
  const mine = toDefinition(form.values)
  const mayEdit = isHome && may('mappings:update')
  return (
    <div className='grid gap-4'>
      {own === undefined ? <div className='h-30' /> : <PromotionStrip status={own} />}
      {!isHome && (
        <p role='status' className='rounded border border-line bg-info-soft px-3 py-2'>
          {scope.environment} runs version {mapping.version ?? '–'}, which cannot be changed here.{' '}
          <Link
            to={`${scopePath}/database/mappings/$id`}
            params={{ applicationId: scope.applicationId, environment: mapping.environment, id }}
            className='text-accent underline'
          >
            Edit it in {mapping.environment}
          </Link>{' '}
          and promote the new version.
        </p>
      )}
      {own !== undefined && own.problems.length > 0 && own.environments[scope.environment]?.active === true && (
        <Section title={`Problems in ${scope.environment}`}>
          <Problems problems={own.problems} topic={own.topic} />
        </Section>
      )}
      <Builder
        form={form}
        isReadOnly={!mayEdit}
        actions={
          mayEdit && (
            <>
              {form.isChanged && <span className='text-muted'>Unsaved changes</span>}
              <Button
                kind='primary'
                type='submit'
                isBusy={form.isBusy}
                disabled={!form.isChanged || mine === undefined}
              >
                Save mapping
              </Button>
            </>
          )
        }
      />
      <Dialog
        title='Somebody else has changed the mapping'
        isOpen={theirs !== undefined}
        onClose={() => setTheirs(undefined)}
        width='max-w-2xl'
      >
        {theirs !== undefined && (
          <div className='grid gap-4'>
            <p className='text-muted'>Removed lines are theirs, added lines are yours.</p>
            <JsonDiff label='Theirs and yours' before={definitionOf(theirs)} after={mine} />
            <Buttons>
              <Button
                onClick={() => {
                  form.set(toDraft(definitionOf(theirs)))
                  setKnown(theirs.updatedAt)
                  setTheirs(undefined)
                }}
              >
                Take theirs
              </Button>
              <Button
                kind='danger'
                onClick={() => {
                  setTheirs(undefined)
                  if (mine !== undefined) void store(mine)
                }}
              >
                Save mine over theirs
              </Button>
            </Buttons>
          </div>
        )}
      </Dialog>
    </div>
  )
}

/** The rule of a mapping alone, in the order of its fields. */
export function definitionOf ({ table, topic, events, triggerColumns, payload, when }: Mapping): Definition {
  return {
    table,
    topic,
    events,
    ...(triggerColumns !== undefined && { triggerColumns }),
    ...(payload !== undefined && { payload }),
    ...(when !== undefined && { when: when as Record<string, unknown> })
  }
}

function DeleteMapping ({ mapping }: { mapping: Mapping }) {
  const { id, topic, table } = mapping
  const scope = usePageScope()
  const navigate = useNavigate()
  const may = useMay()
  const [isOpen, setOpen] = useState(false)
  const remove = useAction(api => api.DELETE('/api/database/mappings/{id}', { params: { path: { id } } }), {
    done: 'Mapping deleted',
    onDone: () => navigate({ to: `${scopePath}/database/mappings`, params: { ...scope }, ignoreBlocker: true }),
    invalidates: ['/api/database/mappings/status', '/api/database/subscriptions']
  })
  if (!may('mappings:delete')) return null
  const isHome = mapping.environment === scope.environment
  return (
    <>
      <IconButton label='Delete the mapping' icon={<Trash2 size={15} />} onClick={() => setOpen(true)} />
      <ConfirmDialog
        title={`Delete the mapping of ${table}`}
        verb='Delete mapping'
        name={topic}
        isOpen={isOpen}
        onClose={() => setOpen(false)}
        isBusy={remove.isPending}
        onConfirm={() => remove.mutate(undefined)}
      >
        {isHome
          ? 'The mapping is deleted with its versions and subscriptions. Its events stay in the topic.'
          : `The version that was promoted to ${scope.environment} is removed from it. The mapping stays at home.`}
      </ConfirmDialog>
    </>
  )
}
