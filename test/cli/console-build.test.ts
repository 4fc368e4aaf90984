import { spawnSync } from 'node:child_process'
import {
  cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import t from 'tap'
import { root as repository } from '../support/repository.ts'

/* scripts/build-console.js, in a small project with the settings of this one. */

t.setTimeout(300_000)

const copied = [
  'package.json', 'tsconfig.json', 'scripts/build-console.js', 'scripts/files.js', 'sdk/tsconfig.json',
  'sdk/tsconfig.cli.json', 'ui/package.json', 'ui/compressed.ts'
]
const config = `
  import { compressed } from './compressed.ts'
  export default { plugins: [compressed()], build: { reportCompressedSize: false } }
`
const text = 'A sentence that is long enough to be compressed. '.repeat(40)

const folder = mkdtempSync(join(tmpdir(), 'realtime-console-build-'))
t.teardown(() => rmSync(folder, { recursive: true }))
for (const file of copied) cpSync(join(repository, file), join(folder, file))
symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
const write = (file: string, content: string) => {
  mkdirSync(dirname(join(folder, file)), { recursive: true })
  writeFileSync(join(folder, file), content)
}
write('sdk/src/index.ts', 'export {}\n')
write('ui/vite.config.ts', config)
write('ui/index.html', '<!doctype html><script type="module" src="/src/main.ts"></script>')
write('ui/src/main.ts', `document.title = ${JSON.stringify(text)}`)

const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath, ['scripts/build-console.js', ...args], { cwd: folder, encoding: 'utf8' }
  )
  return { status, stdout, stderr }
}
const assets = (end: string) => readdirSync(join(folder, 'ui/dist/assets')).filter(name => name.endsWith(end))
const read = (name = '') => readFileSync(join(folder, 'ui/dist/assets', name))
/** Gives a file the time of a later change. */
const touch = (file: string) => {
  const time = new Date(Date.now() + 60_000)
  utimesSync(join(folder, file), time, time)
}

t.test('the console is built once, with compressed copies of its assets', t => {
  t.match(run(), { status: 0, stdout: 'Building the console. This takes a few seconds the first time…\n' })
  const [script] = assets('.js')
  t.match(read(script).toString(), 'A sentence')
  t.same(gunzipSync(read(`${script}.gz`)), read(script))
  t.same(brotliDecompressSync(read(`${script}.br`)), read(script))
  t.match(run(), { status: 0, stdout: '' })
  t.end()
})

t.test('a changed source of the console or of the client library builds it again, without the old outputs', t => {
  const old = assets('.js')
  write('ui/src/main.ts', `document.title = ${JSON.stringify(`Another ${text}`)}`)
  touch('ui/src/main.ts')
  t.match(run(), { status: 0, stdout: 'Building the console, because its sources have changed…\n' })
  t.equal(assets('.js').length, 1)
  t.notSame(assets('.js'), old)
  write('ui/src/main.ts', `document.title = ${JSON.stringify(text)}`)
  touch('sdk/src/index.ts')
  t.match(run().stdout, 'Building the console')
  t.end()
})

t.test('an error in a source fails the build, and with --optional only reports it', t => {
  write('ui/src/main.ts', 'document.title = (')
  touch('ui/src/main.ts')
  t.match(run(), { status: 1, stderr: 'The console could not be built: Vite reported the errors above.' })
  const optional = run('--optional')
  t.match(optional, { status: 0, stdout: 'The console could not be built: Vite reported the errors above. ' })
  t.match(optional.stdout, 'The server shows its last build.')
  t.end()
})

t.test('without the development packages, or without the sources, the server starts without the console', t => {
  rmSync(join(folder, 'node_modules'))
  rmSync(join(folder, 'ui/dist'), { recursive: true })
  const { status, stdout } = run('--optional')
  t.equal(status, 0)
  t.match(stdout, 'Vite is not installed. Run "npm ci" without --omit=dev to get the console. The server starts')
  rmSync(join(folder, 'ui'), { recursive: true })
  t.match(run('--optional'), { status: 0, stdout: '' })
  t.match(run(), { status: 0, stdout: '' })
  t.notOk(existsSync(join(folder, 'ui')))
  t.end()
})
