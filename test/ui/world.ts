import { connectWs } from '../support/clients.ts'
import { startConsole, type ConsoleOptions } from '../support/console.ts'
import { password } from '../support/people.ts'
import { ask, join } from '../support/room.ts'
import { createSource } from '../support/source-database.ts'
import type { Verdict } from '../support/teardown.ts'
import { until } from '../support/waiting.ts'
import { answer, receiver } from '../support/webhook-receiver.ts'
import { variables } from '../support/webhooks.ts'

/**
 * Starts a console whose application has one of everything that the console shows. `text` is in each field that takes
 * any text.
 */
export async function startWorld (t: Verdict, text: string, options: ConsoleOptions = {}) {
  const console = await startConsole(t, {
    ...options,
    variables: { ...variables, WEBHOOK_RETRY_SCHEDULE: '10ms', ...options.variables },
    adapt (config) {
      Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 500 })
      config.alerts.intervalMs = 2000
      options.adapt?.(config)
    }
  })
  const application = createApplication(console, text)
  await createPeople(console, application, text)
  await createTopic(application, text)
  const webhookId = await createWebhook(t, application, text)
  const mappingId = await createMapping(t, application, text)
  const channel = await createMember(t, console, text)
  const eventId = await publish(application, text)
  await createDocument(application, text)
  const deploymentId = await createDeployment(application, text)
  const { id: roleId } = await application.made('POST', '/api/roles', {
    name: 'auditors', description: text, permissions: [{ resource: 'audit', action: 'read' }]
  })
  await application.made('POST', '/api/api-keys', { name: text, permissions: ['topics:read'] })
  await application.made('PUT', `/api/applications/${console.applicationId}/quotas`, { sockets: 100 })
  const { id: replayId } = await application.made('POST', '/api/debugger/replay', {
    eventIds: [eventId], target: 'subscribers'
  })
  console.app.alertEvaluator.readQuotasWith(async () => [{ ...console.scope, quota: text, percent: 93 }])
  await until(async () => (await application.read('/api/alerts?status=firing')).length > 0, 'the alert')
  await until(async () => (await application.read('/api/database/logs')).length > 0, 'the change of a row')
  const deliveries = '/api/webhooks/deliveries?state=dead'
  await until(async () => (await application.read(deliveries)).length > 0, 'the failed delivery')
  const [{ id: deliveryId }] = await application.read(deliveries)
  return {
    console, webhookId, deliveryId, mappingId, channel, eventId, deploymentId, roleId, replayId,
    userId: console.admin.id
  }
}

export type World = Awaited<ReturnType<typeof startWorld>>

type Console = Awaited<ReturnType<typeof startConsole>>
type Application = ReturnType<typeof createApplication>

/** Requests of the super_admin in the application. The text is the browser in the audit log. */
function createApplication ({ admin, applicationId }: Console, text: string) {
  const headers = { 'x-application-id': applicationId, 'x-environment': 'development', 'user-agent': text }
  return {
    async made (...[method, url, body]: Parameters<typeof admin.request>) {
      const { status, text, body: made } = await admin.request(method, url, body, { headers })
      if (status >= 300) throw new Error(`${method} ${url}: ${text}`)
      return made
    },
    read: async (url: string) => (await admin.get(url, { headers })).body
  }
}

async function createPeople ({ app, admin, applicationId }: Console, { made }: Application, text: string) {
  await made('PATCH', `/api/users/${admin.id}`, { name: text })
  await made('PATCH', `/api/applications/${applicationId}`, { name: text, description: text })
  await app.sessions.create(admin.id, { address: '127.0.0.1', userAgent: text })
  await made('POST', '/api/users', {
    name: text, email: 'ada@example.com', password, roles: [{ roleId: 'role_viewer', applicationId }]
  })
  await made('POST', '/api/invites', { email: 'grace@example.com', roleId: 'role_viewer', applicationId })
}

async function createTopic ({ made }: Application, text: string) {
  await made('POST', '/api/topics', { name: 'order.placed', description: text, owner: text })
  const properties = { note: { description: text }, total: true }
  await made('POST', '/api/schemas/order.placed', {
    schema: { title: text, description: text, type: 'object', properties }, activate: true
  })
  await made('POST', '/api/schemas/order.placed', {
    schema: { title: text, type: 'object', properties: { ...properties, [text]: { enum: [text] } } }
  })
}

async function createWebhook (t: Verdict, { made }: Application, text: string): Promise<string> {
  const sink = await receiver(t, answer(500, { 'content-type': 'text/plain', 'x-reason': text }, text))
  const { id } = await made('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: ['order.placed'], description: text,
    filter: { note: { ne: `not ${text}` } }
  })
  return id
}

/** A table with the text as its name and in its columns and rows, and a mapping of it. */
async function createMapping (t: Verdict, { made, read }: Application, text: string): Promise<string> {
  const source = await createSource(t)
  const table = `"${text.replaceAll('"', '""')}"`
  await source.sql(`create table ${table} (id int primary key, ${table} text)`)
  await made('PUT', '/api/database/connection', { connectionString: source.url })
  await until(async () => (await read('/api/database/connection')).state === 'streaming', 'the stream of changes')
  await made('POST', '/api/topics', { name: 'order.changed', description: text, owner: text })
  const { id } = await made('POST', '/api/database/mappings', {
    table, topic: 'order.changed', events: ['insert', 'update'], payload: { note: text, value: `$row.${text}` },
    when: { ne: { [text]: '' } }
  })
  await made('POST', `/api/database/mappings/${id}/versions`, { environment: 'development' })
  await made('POST', '/api/database/subscriptions', { mappingId: id })
  await source.sql(`insert into ${table} values (1, $1)`, [text])
  return id
}

/** A client that subscribes to the topic and is a member of a channel. Returns the name of the channel. */
async function createMember (t: Verdict, { url, token }: Console, text: string): Promise<string> {
  const client = await connectWs(url, { token: token(['admin'], { subject: text }) })
  t.teardown(() => client.close())
  await ask(client, 'subscribe', { topic: 'order.placed', filter: { note: { eq: text } } })
  const channel = `chat:${text}`
  await join(client, channel, { state: { status: text } })
  return channel
}

/** Publishes twelve events, and returns the id of the first one. */
async function publish ({ made }: Application, text: string): Promise<string> {
  const events = Array.from({ length: 12 }, (_, i) => ({ key: text, payload: { note: text, total: i } }))
  const [{ id }] = await made('POST', '/api/topics/order.placed/events', { events })
  return id
}

async function createDocument ({ made }: Application, text: string) {
  await made('POST', '/api/services', { name: 'carts', description: text })
  await made('POST', '/api/sync/carts/documents', { id: 'cart-1', data: { [text]: text } })
  await made('PATCH', '/api/sync/carts/documents/cart-1/merge', { data: { note: text } })
}

async function createDeployment ({ made }: Application, text: string): Promise<string> {
  const create = () => made('POST', '/api/deployments', {
    title: text, description: text, source: 'development', items: [{ kind: 'topic', name: 'order.placed' }]
  })
  const { id: rejectedId } = await create()
  await made('POST', `/api/deployments/${rejectedId}/reject`, { reason: text })
  const { id } = await create()
  await made('POST', `/api/deployments/${id}/comments`, { text })
  return id
}
