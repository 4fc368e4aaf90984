import t from 'tap'
import { announcementOf, banner } from '../../src/cli/banner.ts'
import { build, listen } from '../support/build.ts'
import { person } from '../support/people.ts'

t.test('the banner has the URLs, and the commands of the first steps with the local URL', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const text = banner(app.config, await announcementOf(app))
  for (
    const line of [
      `REST and docs   ${url}/docs`,
      `Socket.IO       ${url}/socket.io`,
      `WebSocket       ${url.replace('http', 'ws')}/ws`,
      'Nobody has set it up yet',
      ...['/api/auth/setup', '/api/applications', '/auth/token'].map(path => `curl ${url}${path} `)
    ]
  ) t.ok(text.includes(line), line)
  await person(app, 'super_admin')
  t.match(banner(app.config, await announcementOf(app)), `Log in          POST ${url}/api/auth/login`, 'after setup')
})

t.test('behind a proxy the suggested commands work locally, with the setup token', async t => {
  const { app } = await build(t, {
    variables: { PUBLIC_URL: 'https://realtime.example.com', TRUST_PROXY: '127.0.0.1' }
  })
  const url = await listen(app)
  const text = banner(app.config, await announcementOf(app))
  t.match(text, 'REST and docs   https://realtime.example.com/docs')
  t.match(text, 'WebSocket       wss://realtime.example.com/ws')
  const [, body = ''] = /api\/auth\/setup[^]*?-d '(\{.*\})'/.exec(text) ?? []
  t.match(text, `curl ${url}/api/auth/setup`)
  const answer = await fetch(`${url}/api/auth/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.7' },
    body
  })
  t.equal(answer.status, 201)
})
