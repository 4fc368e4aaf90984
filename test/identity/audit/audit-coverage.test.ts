import t from 'tap'
import { sources } from '../../support/repository.ts'

/*
 * Every change of a setting is audited: the handler passes `request.origin` to the domain. New routes are covered
 * automatically.
 */

/** Regular traffic of applications, reads and previews, and requests of anonymous callers. */
const needsNoEntry = (permission: string) =>
  permission === 'public' || permission.endsWith(':read') || /^(documents|events|socket):/.test(permission)
/** They try something, or send deliveries again, and change no setting. */
const withoutEntry = new Set([
  "routes/api/webhooks/index.ts post '/:id/test'",
  "routes/api/webhooks/index.ts post '/redrive'",
  "routes/api/webhooks/deliveries/index.ts post '/:id/retry'",
  "routes/api/database/connection/index.ts post '/test'"
])

t.test('every route that changes a setting records its author', async t => {
  const changing = [...sources('routes')].flatMap(([file, text]) =>
    text.split(/^ {2}(?=app\.)/m).flatMap(route => {
      const [, method, path] = /^app\.(post|put|patch|delete)\(('[^']*')/.exec(route) ?? []
      const permission = /permission: '([^']+)'/.exec(route)?.[1] ?? ''
      const name = `${file} ${method ?? ''} ${path ?? ''}`
      return method === undefined || needsNoEntry(permission) || withoutEntry.has(name) ? [] : [{ name, route }]
    }))
  t.ok(changing.length > 25, `${changing.length} routes`)
  t.same(changing.filter(({ route }) => !route.includes('request.origin')).map(({ name }) => name), [])
})
