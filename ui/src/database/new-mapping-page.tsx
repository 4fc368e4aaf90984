import { useNavigate } from '@tanstack/react-router'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { useForm } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { Refused } from '../components/states.tsx'
import { Builder } from './builder/builder.tsx'
import { emptyDraft, toDefinition, type Definition } from './builder/definition.ts'
import { scopeLink } from './links.ts'
import { newMappingRoute } from './routes.ts'

/** Builds a mapping. */
export function NewMappingPage () {
  const { table } = newMappingRoute.useSearch()
  const scope = usePageScope()
  const navigate = useNavigate()
  const may = useMay()
  const create = useAction((api, body: Definition) => api.POST('/api/database/mappings', { body }), {
    invalidates: ['/api/database/mappings'],
    done: 'Mapping created',
    isErrorShown: true
  })
  const form = useForm(
    emptyDraft(table),
    async draft => {
      const definition = toDefinition(draft)
      if (definition === undefined) return
      const { id } = await create.mutateAsync(definition)
      await navigate({ to: `${scopePath}/database/mappings/$id`, params: { ...scope, id } })
    },
    { mayLeave: false }
  )
  const isComplete = toDefinition(form.values) !== undefined && form.values.topic.trim() !== ''
  return (
    <Page
      title='New mapping'
      crumbs={[
        { label: 'Database', link: scopeLink('/database') },
        { label: 'Mappings', link: scopeLink('/database/mappings') }
      ]}
    >
      {may('mappings:create')
        ? (
          <Builder
            form={form}
            actions={
              <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={!isComplete}>
                Create mapping
              </Button>
          }
          />
          )
        : (
          <Refused message='Permission required: mappings:create' />
          )}
    </Page>
  )
}
