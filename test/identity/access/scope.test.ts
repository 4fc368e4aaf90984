import t from 'tap'
import { createScopeResolver } from '../../../src/identity/access/scope.ts'
import { sessionPrincipal, tokenPrincipal } from '../../support/principals.ts'
import { codeOf } from '../../support/refusal.ts'

/** Applications a and b exist. */
const applications = { has: async (id: string) => id === 'app_a' || id === 'app_b' }
const resolve = createScopeResolver({ applications })

t.test('a token has access to its own application', async t => {
  const token = tokenPrincipal(['admin'])
  t.same(await resolve(token, {}), { applicationId: 'app_a', environment: 'development' })
  t.same(await resolve(token, { applicationId: 'app_a', environment: 'production' }), {
    applicationId: 'app_a', environment: 'production'
  })
  t.equal(await codeOf(() => resolve(token, { applicationId: 'app_b' })), 'APPLICATION_FORBIDDEN')
  t.equal(await codeOf(() => resolve(token, { environment: 'moon' })), 'ENVIRONMENT_INVALID')
  t.equal(await codeOf(() => resolve(token, { environment: '' })), 'ENVIRONMENT_INVALID')
  t.equal(await codeOf(() => resolve(token, { applicationId: ['app_a'] })), 'VALIDATION_FAILED')
})

t.test('a pinned token uses its environment by default, and no other', async t => {
  const token = tokenPrincipal(['admin'], { environment: 'staging' })
  t.same(await resolve(token, {}), { applicationId: 'app_a', environment: 'staging' })
  t.same(await resolve(token, { environment: 'staging' }), { applicationId: 'app_a', environment: 'staging' })
  t.equal(await codeOf(() => resolve(token, { environment: 'development' })), 'ENVIRONMENT_FORBIDDEN')
})

t.test('a session must name an application that its roles have access to', async t => {
  const one = sessionPrincipal(['viewer', 'app_a'])
  t.same(await resolve(one, { applicationId: 'app_a' }), { applicationId: 'app_a', environment: 'development' })
  t.equal(await codeOf(() => resolve(one, {})), 'APPLICATION_REQUIRED')
  t.equal(await codeOf(() => resolve(one, { applicationId: 'app_b' })), 'APPLICATION_FORBIDDEN')
  t.equal(
    await codeOf(() => resolve(one, { applicationId: 'app_none' })), 'APPLICATION_FORBIDDEN',
    'the refusal does not reveal whether it exists'
  )
  const all = sessionPrincipal('super_admin')
  t.same(await resolve(all, { applicationId: 'app_b', environment: 'staging' }), {
    applicationId: 'app_b', environment: 'staging'
  })
  t.equal(await codeOf(() => resolve(all, { applicationId: 'app_none' })), 'APPLICATION_NOT_FOUND')
  t.equal(await codeOf(() => resolve(sessionPrincipal(), { applicationId: 'app_a' })), 'APPLICATION_FORBIDDEN')
})
