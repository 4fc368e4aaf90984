import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createDatabase } from '../support/database.ts'
import { testKey } from '../support/build.ts'
import { administrator, setUp } from '../support/shop.ts'
import { call } from '../support/rest.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { root } from '../support/repository.ts'

/* Runs `npm run demo` as a process. */

const isCompiled = import.meta.filename.endsWith('.js')
/** Prints the origin of each HTTP request of the process. */
const reportOrigins = `data:text/javascript,${encodeURIComponent(`
  import { subscribe } from 'node:diagnostics_channel'
  subscribe('undici:request:create', ({ request }) => process.stderr.write('request to ' + request.origin + '\\n'))
`)}`

async function demo (folder: string, variables: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', reportOrigins, join(root, 'dist/demo/demo.js')], {
    cwd: folder, env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder, ...variables }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const [code] = await once(child, 'close') as [number | null]
  const origins = new Set([...output.matchAll(/^request to (\S+)$/gm)].map(([, origin]) => origin))
  return { code, output, origins: [...origins] }
}

t.test('the demo', { skip: isCompiled ? false : 'runs the compiled demo' }, async t => {
  await t.test('uses only the platform that it starts, and deletes its data', async t => {
    const folder = await dataFolder(t)
    const { code, output, origins } = await demo(folder)
    t.equal(code, 0, output)
    const [, own] = /platform +started at (\S+), in a temporary folder/.exec(output) ?? []
    t.same(origins, [own])
    t.match(output, /<- session\.status #2 .*"status":"ended"/, 'including the rows of a database')
    t.match(output, /the platform and its data are deleted/)
    t.same(await readdir(folder), [])
  })

  await t.test('uses another platform when PLATFORM_URL names it', async t => {
    const folder = await dataFolder(t)
    const server = await start(t, {
      dataDir: folder, variables: { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey }
    })
    const account = { DEMO_EMAIL: administrator.email, DEMO_PASSWORD: administrator.password }
    const { sessionToken } = await setUp(server.address)
    const refused = await demo(folder, { PLATFORM_URL: server.address })
    t.equal(refused.code, 1)
    t.match(refused.output, /is already set up\. Set DEMO_EMAIL and DEMO_PASSWORD/)

    const { code, output, origins } = await demo(folder, { PLATFORM_URL: server.address, ...account })
    t.equal(code, 0, output)
    t.same(origins, [server.address])
    t.match(output, /skipped +set DEMO_DATABASE_URL/)
    const { body } = await call('GET', `${server.address}/api/applications`, { token: sessionToken })
    t.match(body, [{ name: 'Shop' }])
    t.equal((body as unknown[]).length, 1, 'the application of the demo is deleted')
  })

  await t.test('does not start its own platform when the named one does not respond', async t => {
    const { code, output } = await demo(await dataFolder(t), { PLATFORM_URL: 'http://127.0.0.1:1' })
    t.equal(code, 1)
    t.match(output, /No platform responds at http:\/\/127\.0\.0\.1:1/)
  })
})
