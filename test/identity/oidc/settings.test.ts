import t from 'tap'
import { ConfigError, createConfig } from '../../../src/config.ts'
import { testKey } from '../../support/build.ts'

const base = { ENCRYPTION_KEY: testKey }
const good = {
  ...base,
  PUBLIC_URL: 'https://realtime.example.com/',
  OIDC_ISSUER: 'https://id.example.com',
  OIDC_CLIENT_ID: 'realtime',
  OIDC_ROLE_MAP: '{"admins":{"role":"super_admin"}}'
}

function problemsOf (variables: Record<string, string | undefined>): string[] {
  try {
    createConfig(variables)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

t.test('the provider is optional, and its settings have defaults', async t => {
  t.equal(createConfig(base).oidc, undefined)
  t.equal(createConfig({ ...base, OIDC_SCOPES: 'openid', OIDC_ROLE_CLAIM: 'roles' }).oidc, undefined)
  t.match(createConfig({ ...good, CORS_ORIGINS: 'https://a.example,*' }).oidc, {
    issuer: 'https://id.example.com', clientSecret: undefined, scopes: 'openid email profile', roleClaim: 'groups',
    isOnly: false, publicUrl: 'https://realtime.example.com', consoleOrigins: ['https://a.example'],
    roleMap: new Map([['admins', [{ role: 'super_admin', applicationId: null }]]])
  })
  t.equal(createConfig({ ...good, PUBLIC_URL: 'http://localhost:3000', OIDC_ISSUER: 'http://127.0.0.1:8080' })
    .oidc?.publicUrl, 'http://localhost:3000')
  const map = '{"devs":[{"role":"editor","applicationId":"app_1"},{"role":"viewer"}],"all":{"role":"viewer"}}'
  t.same([...createConfig({ ...good, OIDC_ROLE_MAP: map }).oidc?.roleMap ?? []], [
    ['devs', [{ role: 'editor', applicationId: 'app_1' }, { role: 'viewer', applicationId: null }]],
    ['all', [{ role: 'viewer', applicationId: null }]]
  ])
})

t.test('each problem names its variable', async t => {
  const cases: [string, Record<string, string | undefined>][] = [
    ['OIDC_ISSUER', { ...base, OIDC_CLIENT_ID: 'x' }],
    ['OIDC_ISSUER', { ...base, OIDC_ONLY: 'true' }],
    ['OIDC_ISSUER', { ...good, OIDC_ISSUER: 'id.example.com' }],
    ['OIDC_ISSUER', { ...good, OIDC_ISSUER: 'http://id.example.com' }],
    ['OIDC_ISSUER', { ...good, OIDC_ISSUER: 'https://user:secret@id.example.com' }],
    ['OIDC_ISSUER', { ...good, OIDC_ISSUER: 'https://id.example.com?x=1' }],
    ['OIDC_ISSUER', { ...good, OIDC_ISSUER: 'https://' }],
    ['OIDC_CLIENT_ID', { ...good, OIDC_CLIENT_ID: undefined }],
    ['OIDC_ROLE_MAP', { ...good, OIDC_ROLE_MAP: undefined }],
    ['PUBLIC_URL', { ...good, PUBLIC_URL: undefined }],
    ['PUBLIC_URL', { ...good, PUBLIC_URL: 'http://realtime.example.com' }],
    ['OIDC_SCOPES', { ...good, OIDC_SCOPES: 'email' }],
    ['OIDC_SCOPES', { ...good, OIDC_SCOPES: 'openid  email' }],
    ...[
      'admins', '[]', 'null', '{}', '{"a":"viewer"}', '{"a":{}}', '{"a":[]}', '{"a":{"role":7}}', '{"a":{"role":""}}',
      '{"a":{"role":"viewer","application":"app_1"}}', '{"a":{"role":"viewer","applicationId":7}}',
      '{"a":{"role":"viewer","applicationId":""}}', '{"a":[[{"role":"viewer"}]]}',
      `{"a":{"role":"${'x'.repeat(70_000)}"}}`
    ].map((map): [string, Record<string, string>] => ['OIDC_ROLE_MAP', { ...good, OIDC_ROLE_MAP: map }]),
    ['OIDC_ROLE_MAP', {
      ...good, OIDC_ONLY: 'true', OIDC_ROLE_MAP: '{"a":{"role":"super_admin","applicationId":"app_1"}}'
    }]
  ]
  for (const [name, variables] of cases) {
    const problems = problemsOf(variables)
    t.equal(problems.length, 1, JSON.stringify(problems))
    t.match(problems[0], new RegExp(`^${name} `))
    t.notMatch(problems[0], 'secret')
  }
  t.same(problemsOf({ ...good, OIDC_ONLY: 'true' }), [])
})
