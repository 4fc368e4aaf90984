import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'
import t from 'tap'
import { build } from './build.ts'

/* Whoever changes a setting is written down. A new route is in this by itself: its handler hands `request.origin` to the domain. */

/** What applications do all day, and what changes nothing but somebody's own login. */
const isDataPlane = (permission: string) => /^(sync|events|socket|tokens|debugger):/.test(permission)
const withoutEntry = new Set(['POST /api/auth/logout', 'DELETE /api/auth/sessions/:id'])

t.test('every route that changes a setting says who does', async t => {
  const routes: RouteOptions[] = []
  const collect = (message: unknown) => { (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', route => { routes.push(route) }) }
  subscribe('fastify.initialization', collect)
  await build(t)
  unsubscribe('fastify.initialization', collect)
  const changing = routes.flatMap(route => [route.method].flat().map(method => ({ name: `${method} ${route.url.replace(/\/$/, '')}`, method, route })))
    .filter(({ name, method, route }) => {
      const permission = route.config?.permission ?? 'public'
      return !['GET', 'HEAD', 'OPTIONS'].includes(method) && permission !== 'public' && !permission.endsWith(':read') && !isDataPlane(permission) && !withoutEntry.has(name)
    })
  t.ok(changing.length > 25)
  t.same(changing.filter(({ route }) => !route.handler.toString().includes('request.origin')).map(({ name }) => name), [])
})
