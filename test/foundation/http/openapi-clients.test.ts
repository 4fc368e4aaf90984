import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@hey-api/openapi-ts'
import openapiTS, { astToString } from 'openapi-typescript'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { root } from '../../support/repository.ts'

/*
 * Two common generators, with their defaults, generate clients from the served document. The clients are compiled in
 * strict mode.
 */

t.setTimeout(600_000)

/** Optional fields are omitted, enums have names, and responses are typed. */
const openapiFetchProgram = `
import createClient from 'openapi-fetch'
import type { components, paths } from './openapi-typescript.js'

const client = createClient<paths>({ baseUrl: 'http://localhost:3000', headers: { authorization: 'Bearer x' } })
type Schemas = components['schemas']
export const environment: Schemas['Environment'] = 'development'
export const type: Schemas['EventType'] = 'topic.event'
// @ts-expect-error no such environment
export const wrong: Schemas['Environment'] = 'moon'
export async function run () {
  const topic = await client.POST('/api/topics', { body: { name: 'order.placed', description: 'd', owner: 'o' } })
  const version: number | null | undefined = topic.data?.activeSchemaVersion
  const refusal: string | undefined = topic.error?.code
  const events = await client.GET('/api/topics/{name}/events', { params: { path: { name: 'order.placed' } } })
  const offsets: number[] | undefined = events.data?.map(event => event.offset)
  await client.GET('/api/topics', { params: { header: { 'x-environment': environment }, query: { limit: 10 } } })
  await client.POST('/api/webhooks', { body: { url: 'https://example.com/', events: [type, '*'] } })
  await client.POST('/api/webhooks/redrive', { body: {} })
  await client.POST('/api/debugger/replay', {
    body: { topic: 'order.placed', fromOffset: 1, toOffset: 2, target: 'subscribers' }
  })
  await client.POST('/api/schemas/{topic}', { params: { path: { topic: 'order.placed' } }, body: { schema: true } })
  const created = await client.POST('/api/sync/{service}/documents', {
    params: { path: { service: 'cart' } }, body: { data: {} }
  })
  const mapping = await client.POST('/api/database/mappings', {
    body: { table: 't', topic: 'a.b', events: ['insert'] }
  })
  const sql: (string | undefined)[] | undefined = mapping.data?.problems.map(problem => problem.sql)
  return { version, refusal, offsets, revision: created.data?.revision, sql }
}
`
const heyProgram = `
import { createTopic, createWebhook, listEvents, promoteMapping, type Environment, type EventType, type RealtimeEvent } from './hey/index.js'

export const environment: Environment = 'staging'
export const type: EventType = 'document.updated'
// @ts-expect-error no such type of event
export const wrong: EventType = 'document.eaten'
export async function run () {
  const topic = await createTopic({
    body: { name: 'order.placed', description: 'd', owner: 'o' }, headers: { 'x-environment': environment }
  })
  const refusal: string | undefined = topic.error?.code
  const events = await listEvents({ path: { name: 'order.placed' } })
  const first: RealtimeEvent | undefined = events.data?.[0]
  await createWebhook({ body: { url: 'https://example.com/', events: [type] } })
  await promoteMapping({ path: { id: 'map_1' }, body: { environment } })
  return { name: topic.data?.name, refusal, first }
}
`

t.test('clients of openapi-typescript and @hey-api/openapi-ts compile in strict mode', async t => {
  const { app } = await build(t)
  const text = await (await fetch(`${await listen(app)}/openapi.json`)).text()
  const folder = await mkdtemp(join(tmpdir(), 'realtime-clients-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'openapi.json'), text)
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await writeFile(join(folder, 'openapi-typescript.ts'), astToString(await openapiTS(JSON.parse(text))))
  await createClient({
    input: join(folder, 'openapi.json'), output: { path: join(folder, 'hey'), module: { extension: '.js' } },
    logs: { level: 'silent' }
  })
  await writeFile(join(folder, 'use-openapi-fetch.ts'), openapiFetchProgram)
  await writeFile(join(folder, 'use-hey.ts'), heyProgram)
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true, noEmit: true, target: 'es2022', module: 'nodenext', lib: ['es2023', 'dom', 'dom.iterable'],
        types: [], skipLibCheck: true
      },
      include: ['*.ts', 'hey']
    })
  )
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'), '-p', folder
  ], { maxBuffer: 2 ** 26 })
    .catch((error: { stdout: string }) => error)
  t.equal(stdout, '')
  const types = await readFile(join(folder, 'hey/types.gen.ts'), 'utf8')
  for (const name of ['Environment', 'EventType', 'EventSource', 'CompatibilityMode', 'PermissionResource']) {
    t.match(types, new RegExp(`^export type ${name} = '`, 'm'), name)
  }
})
