import t from 'tap'
import { sources } from '../../docs/generated.ts'

/*
 * Whoever changes a setting is written down. A new route is in this by itself: its handler hands `request.origin` to
 * the domain.
 */

/** What applications do all day, what is read or tried only, and what somebody does who is not yet known. */
const needsNoEntry = (permission: string) =>
  permission === 'public' || permission.endsWith(':read') || /^(sync|events|socket):/.test(permission)
/** They try something, or send what was owed once more, and change no setting. */
const withoutEntry = new Set([
  "routes/api/webhooks/index.ts post '/:id/test'",
  "routes/api/webhooks/index.ts post '/redrive'",
  "routes/api/webhooks/deliveries/index.ts post '/:id/retry'",
  "routes/api/database/connection/index.ts post '/test'"
])

t.test('every route that changes a setting says who does', async t => {
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
