import { useNavigate } from '@tanstack/react-router'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { TextAreaField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Page, Section } from '../components/page.tsx'
import { Segments } from '../components/segments.tsx'
import { Loaded, Refused } from '../components/states.tsx'
import { useDifferences, type Difference } from './differences.ts'
import { DifferenceList } from './difference-list.tsx'
import { newDeploymentRoute } from './routes.ts'
import { targetOf } from './words.ts'

type Source = 'development' | 'staging'

/** Composes a deployment from the differences between an environment and the next. */
export function ComposePage () {
  const scope = usePageScope()
  const navigate = useNavigate({ from: newDeploymentRoute.fullPath })
  const link = useScopedLink()
  const may = useMay()
  const own: Source = scope.environment === 'development' ? 'development' : 'staging'
  const source = newDeploymentRoute.useSearch().source ?? own
  const target = targetOf(source)
  const differences = useDifferences({ ...scope, environment: source }, { ...scope, environment: target }, may)
  return (
    <Page
      title='Compose deployment'
      crumbs={[{ label: 'Deployments', link: link('/deployments') }]}
      actions={
        <Segments
          label='From and to'
          value={source}
          choices={[
            { value: 'development', label: 'development → staging' },
            { value: 'staging', label: 'staging → production' }
          ]}
          onChange={source => {
            void navigate({ search: { source } })
          }}
        />
      }
    >
      {may('deployments:create')
        ? (
          <Loaded query={differences}>
            {found => <Composition key={source} source={source} differences={found} />}
          </Loaded>
          )
        : (
          <Refused message='Permission required: deployments:create' />
          )}
    </Page>
  )
}

interface Values {
  title: string
  description: string
  keys: string[]
}

const toItem = ({ kind, name }: Difference) => (kind === 'mapping' ? { kind, id: name } : { kind, name })

function Composition ({ source, differences }: { source: Source; differences: readonly Difference[] }) {
  const scope = usePageScope()
  const navigate = useNavigate()
  const bodyOf = ({ title, description, keys }: Values) => ({
    title,
    source,
    ...(description !== '' && { description }),
    items: differences.filter(({ key }) => keys.includes(key)).map(toItem)
  })
  const create = useAction((api, body: ReturnType<typeof bodyOf>) => api.POST('/api/deployments', { body }), {
    invalidates: ['/api/deployments'],
    isErrorShown: true,
    done: 'Deployment created'
  })
  const form = useForm<Values>(
    { title: '', description: '', keys: [] },
    async values => {
      const { id } = await create.mutateAsync(bodyOf(values))
      await navigate({ to: `${scopePath}/deployments/$id`, params: { ...scope, id } })
    },
    { mayLeave: false }
  )
  const { title, description, keys } = form.values
  const count = differences.filter(({ key }) => keys.includes(key)).length
  return (
    <Form
      form={form}
      fields={['title', 'description']}
      className='grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[minmax(0,1fr)_22rem]'
    >
      <DifferenceList
        differences={differences}
        source={source}
        selected={keys}
        onSelect={keys => form.set({ keys })}
      />
      <div className='lg:sticky lg:top-4'>
        <Section title='Deployment'>
          <div className='grid gap-4'>
            <TextField
              label='Title'
              placeholder='Session reasons'
              value={title}
              error={form.error('title')}
              onChange={event => form.set({ title: event.target.value })}
            />
            <TextAreaField
              label='Description'
              isOptional
              value={description}
              error={form.error('description')}
              hint='Why, for the person who approves it.'
              onChange={event => form.set({ description: event.target.value })}
            />
            <div className='flex flex-wrap items-center justify-end gap-2'>
              <CopyAs request={{ method: 'POST', path: '/api/deployments', body: bodyOf(form.values) }} />
              <Button kind='primary' type='submit' disabled={count === 0} isBusy={form.isBusy}>
                {count === 0
                  ? 'Pick what to deploy'
                  : `Create deployment of ${count} ${count === 1 ? 'item' : 'items'}`}
              </Button>
            </div>
            <p className='text-xs text-muted'>
              The contents are fixed when it is created. Nothing changes in {targetOf(source)} until it is applied.
            </p>
          </div>
        </Section>
      </div>
    </Form>
  )
}
