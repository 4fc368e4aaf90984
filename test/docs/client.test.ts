import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import ts from 'typescript'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { read, root } from '../support/repository.ts'
import { dataFolder } from '../support/server-process.ts'
import type { Teardown } from '../support/teardown.ts'
import { tenant } from '../support/tenant.ts'

/* The documents of the client library: the tour runs as printed, and the snippets of the guide compile. */

t.test("the tour of the client's README runs as printed", async t => {
  const [, tour = ''] = /```js tour\n([\s\S]*?)```/.exec(read('sdk/README.md')) ?? []
  const { app } = await build(t)
  const url = await listen(app)
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const folder = await project(t)
  await writeFile(join(folder, 'tour.mjs'), tour)
  const child = spawn(process.execPath, ['tour.mjs'], {
    cwd: folder, env: { PATH: process.env['PATH'], URL: url, TOKEN: shop.token() }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  }
  const [code] = await once(child, 'close') as [number]
  t.equal(code, 0, output)
  t.match(output, /^connected $/m)
  t.match(output, /^order 1 \{ total: 42 \}$/m)
  t.match(output, /^cart \{ lamps: 3, note: 'gift' \}$/m)
  t.match(output, /^members \[ \{ name: 'Ada' \} \]$/m)
  t.match(output, /^disconnected $/m)
  t.notMatch(output, /Error/)
})

t.test('the snippets of docs/CLIENT.md compile', async t => {
  const folder = await project(t)
  const snippets = [...read('docs/CLIENT.md').matchAll(/```(tsx?)\n([\s\S]*?)```/g)]
  t.ok(snippets.length > 10, `${snippets.length} snippets`)
  const files = await Promise.all(snippets.map(async ([, kind = '', code = ''], i) => {
    const file = join(folder, `snippet-${i}.${kind}`)
    await writeFile(file, `${surroundings(code)}\n${code}\nexport {}\n`)
    return file
  }))
  const program = ts.createProgram(files, {
    noEmit: true, strict: true, skipLibCheck: true, target: ts.ScriptTarget.ESNext, jsx: ts.JsxEmit.ReactJSX,
    module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, types: ['node'],
    lib: ['lib.esnext.d.ts', 'lib.dom.d.ts']
  })
  const faults = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file === undefined || start === undefined
      ? ''
      : file.text.slice(start).split('\n', 1)[0]
    return `${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
  t.same(faults, [])
})

/** A folder in which the library can be imported by name. */
async function project (t: Teardown): Promise<string> {
  const folder = await dataFolder(t)
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await mkdir(join(folder, 'src'))
  return folder
}

/** Declares the names that a snippet uses of an application around it. */
function surroundings (code: string): string {
  const library = 'import("@realtime-platform/client")'
  const declared = {
    url: 'const url: string',
    token: 'const token: string',
    signal: 'const signal: AbortSignal',
    client: `const client: ${library}.RealtimeClient<TopicMap>`,
    orders: `const orders: ${library}.Topic<${library}.EventOf<TopicMap, "order.placed">>`,
    reload: 'function reload (): void',
    save: 'function save (event: unknown): Promise<void>',
    handle: 'function handle (...given: unknown[]): Promise<void>',
    render: 'function render (...given: unknown[]): void',
    renderMembers: 'function renderMembers (members: unknown): void',
    showBadge: 'function showBadge (count: number): void',
    append: 'function append (data: unknown): void',
    db: 'const db: { transaction (work: (trx: object) => Promise<void>): Promise<void> }',
    savePosition: 'function savePosition (trx: object, topic: string, position: object): Promise<void>',
    loadPosition: 'function loadPosition (topic: string): Promise<{ offset: number, epoch: string } | undefined>',
    app: 'const app: { post (path: string, parse: unknown, handle: (...given: [Request, Response]) => void): void }',
    request: 'interface Request { body: Uint8Array, headers: Record<string, string> }',
    response: 'interface Response { sendStatus (status: number): void }',
    express: 'const express: { raw (options: object): unknown }'
  }
  const needed = Object.entries(declared)
    .filter(([name]) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`const (\\{ )?${name}\\b`).test(code))
    .map(([, declaration]) => `declare ${declaration}`)
  return [
    ...(/\bRealtimeClient\b/.test(code) && !code.includes('RealtimeClient }')
      ? ["import { RealtimeClient } from '@realtime-platform/client'"]
      : []),
    'interface TopicMap { \'order.placed\': { total: number, customer?: { id: string } } }',
    'interface Cart { note?: string, items: { count: number }[] }',
    ...needed
  ].join('\n')
}
