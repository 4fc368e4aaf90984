import { useNavigate } from '@tanstack/react-router'
import { useAction } from '../app/actions.ts'
import { useGlobal } from '../app/queries.ts'
import { Page } from '../components/page.tsx'
import { Loaded } from '../components/states.tsx'
import { RoleForm, type RoleBody } from './role-form.tsx'
import { newRoleRoute } from './routes.ts'

/** Creates a role, from nothing or with the permissions of another. */
export function NewRolePage () {
  const { like } = newRoleRoute.useSearch()
  const roles = useGlobal('/api/roles', { query: { limit: 1000 } })
  const navigate = useNavigate()
  const create = useAction((api, body: RoleBody) => api.POST('/api/roles', { body }), {
    invalidates: ['/api/roles'],
    isErrorShown: true,
    done: 'Role created',
    scope: null
  })
  return (
    <Page title='Create role' crumbs={[{ label: 'Roles', link: { to: '/roles' } }]}>
      <Loaded query={roles}>
        {list => (
          <RoleForm
            role={{
              name: '',
              description: '',
              permissions: list.find(({ id }) => id === like)?.permissions ?? []
            }}
            verb='Create role'
            request={body => ({ method: 'POST', path: '/api/roles', body })}
            onSave={async body => {
              const { id } = await create.mutateAsync(body)
              // After the form has noted that its values are saved, so that leaving asks nothing.
              setTimeout(() => {
                void navigate({ to: '/roles/$id', params: { id } })
              })
            }}
          />
        )}
      </Loaded>
    </Page>
  )
}
