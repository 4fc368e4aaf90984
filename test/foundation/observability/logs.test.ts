import { once } from 'node:events'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { WebSocket } from 'ws'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs } from '../../support/clients.ts'
import { readableLog } from '../../support/log-lines.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

await t.test('no credential and no payload reaches the log, at any level', async t => {
  let log = ''
  const logger = pino(
    { level: 'trace' },
    new Writable({
      write (chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        done()
      }
    })
  )
  const { app } = await build(t, { logger, variables: { ACCESS_LOG: 'true' } })
  const url = await listen(app)
  const shop = await tenant(app)
  const ada = await person(app, 'super_admin')
  const token = shop.token()
  const topic = await shop.topic('logged.events')
  const { key } = await createApiKey(ada, shop.applicationId, { permissions: ['topics:read', 'subscribe', 'publish'] })
  const secrets = {
    token, apiKey: key.slice(12), session: ada.token, payload: 'the-payload-itself', password: 'a-password-of-mine',
    webhook: 'a-secret-that-signs', connection: 'a-database-password'
  }

  await shop.publish(topic, { note: secrets.payload })
  await shop.request('POST', '/api/sync/cart/documents', { id: 'a', data: { note: secrets.payload } })
  await shop.request('POST', '/api/sync/cart/documents', `{"data":{"note":"${secrets.payload}"`)
  await shop.request('POST', '/api/webhooks', { url: 'https://example.com/', events: ['*'], secret: secrets.webhook })
  await shop.request('PUT', '/api/database/connection', {
    connectionString: `postgres://a:${secrets.connection}@127.0.0.1:1/none`
  })
  await ada.post('/api/auth/login', { email: ada.email, password: secrets.password })
  for (const authorization of [`Bearer ${token}x`, `${ada.token}x`, `Basic ${token}`]) {
    await app.inject({ url: '/api/topics', headers: { authorization } })
  }
  await app.inject({ url: `/api/topics?token=${token}` })
  for (const authorization of [`Bearer ${key}`, `Bearer ${key}x`, key]) {
    await app.inject({ url: `/api/topics/${key}?key=${key}`, headers: { authorization } })
  }
  for (const query of [`token=${token}`, `token=${token}x`, `token=${key}`]) {
    const webSocket = new WebSocket(`${url.replace('http', 'ws')}/ws?${query}`)
    await once(webSocket, 'message')
    webSocket.close()
  }
  for (
    const path of ['/nowhere', '/', '/ws/', '/ws/x', '/api/topics', '/WS', '//ws', '/docs', '/socket.iox/', '/%77s']
  ) {
    const webSocket = new WebSocket(`${url.replace('http', 'ws')}${path}?token=${token}`)
    const [error] = await once(webSocket, 'error') as [Error]
    t.match(error.message, /404/, path)
    await app.inject(`${path}?token=${token}`)
    await app.inject(`${path}%zz?token=${token}`)
  }
  app.log.info({
    url: `/a?token=${token}`,
    path: `/a?token=${token}`,
    req: { method: 'GET', url: `/a?token=${token}`, headers: { authorization: token } }
  }, 'a third party logs')
  const client = await connectWs(url, { token })
  await client.request('auth', { token: `${token}x` })
  await client.request('auth', { token: key })
  for (const connect of [connectWs, connectSocketIo]) {
    const ofKey = await connect(url, { token: key })
    await ofKey.request('publish', { channel: 'room', event: 'hi', data: 1 })
    ofKey.close()
  }
  const socket = await connectSocketIo(url, { token })
  await socket.request('publish', { channel: 'room', event: 'hi', data: secrets.payload })
  client.close()
  socket.close()

  t.ok(log.split('\n').filter(line => line.includes('request.completed')).length >= 10, 'requests were logged')
  for (const [what, secret] of Object.entries(secrets)) t.notOk(log.includes(secret), what)
})

await t.test('a lost connection is logged with its code and message, without the client', async t => {
  const log = readableLog()
  const { app } = await build(t, { logger: log.logger })
  await Promise.all(Array.from({ length: 4 }, () => app.pool.query('select 1')))
  await app.pool.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> ' +
      'pg_backend_pid()'
  )
  const line = await eventually(() => log.lines().find(({ msg }) => msg === 'database.connection_lost'))
  t.match(line, { level: 40, code: /^(57P01|ECONNRESET)$/, message: String })
  t.same(Object.keys(line).sort(), ['code', 'hostname', 'level', 'message', 'msg', 'nodeId', 'pid', 'time'])
  for (const { length } of log.text().split('\n')) t.ok(length < 12_000, `a line of ${length} characters`)
})

t.test('an error is logged with its type, message, code and causes, and no other members', async t => {
  const log = readableLog()
  const { app } = await build(t, { logger: log.logger })
  const client = Object.assign(Object.create({ password: 'a-secret' }), {
    connectionParameters: { password: 'a-secret' }, buffers: Array(10_000).fill('a-secret')
  })
  const cause = Object.assign(new Error('the cause'), {
    code: 'ECONNRESET', client, detail: 'Key (email)=(a-secret) already exists.', where: 'a-secret'
  })
  app.log.error({
    err: Object.assign(new Error('x'.repeat(100_000), { cause }), {
      client, config: client, request: client, response: client
    })
  }, 'failed')
  app.log.error({ err: new AggregateError([cause, 'a text'], 'several') }, 'failed')
  app.log.error(cause, 'failed')
  for (const err of [undefined, null, 'a text', 5, {}, Object.create(null)]) app.log.error({ err }, 'failed')
  const [one, several, bare] = log.lines()
  t.match(one, {
    err: {
      type: 'Error', message: /^x{2000}$/, stack: /^Error: x/,
      cause: { message: 'the cause', code: 'ECONNRESET', stack: /logs.test/ }
    }
  })
  t.match(several, { err: { type: 'AggregateError', errors: [{ code: 'ECONNRESET' }, 'a text'] } })
  t.match(bare, { err: { message: 'the cause', code: 'ECONNRESET' } })
  t.notMatch(log.text(), /a-secret/)
  t.ok(log.text().length < 60_000)
})
