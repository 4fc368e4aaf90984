import t from 'tap'
import { actions, parsePermissions, permissionsOfRole, resources } from '../../src/identity/access/permission-set.ts'
import { generatedPart, table } from './generated.ts'

t.test('docs/AUTH.md has the permissions of every role and level', async t => {
  const roles = ['super_admin', 'admin', 'editor', 'viewer']
  const levels = ['admin', 'service', 'client']
  const sets = [
    ...roles.map(name => permissionsOfRole({ name, isBuiltIn: true, permissions: [] })),
    ...levels.map(level => parsePermissions([level]))
  ]
  const rows = resources.map(resource => [
    `\`${resource}\``,
    ...sets.map(set => actions.filter(action => set.allows(`${resource}:${action}`)).map(action => action[0]).join(' '))
  ])
  const head = ['', ...roles.map(name => `\`${name}\``), ...levels.map(level => `token: \`${level}\``)]
  const { found, wanted } = generatedPart('docs/AUTH.md', 'permissions', table(head, rows))
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})
