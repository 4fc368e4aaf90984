import { execFileSync } from 'node:child_process'
import {
  cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { root as repository } from '../support/repository.ts'

/* scripts/compile.js, in a small project with the settings of this one. */

t.setTimeout(300_000)

const projectFiles = [
  'package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/compile.js', 'scripts/files.js',
  'sdk/tsconfig.json', 'sdk/tsconfig.cli.json'
]

function createProject () {
  const folder = mkdtempSync(join(tmpdir(), 'realtime-compile-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const file of projectFiles) cpSync(join(repository, file), join(folder, file))
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
  const write = (file: string, text = 'export {}\n') => {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  const sources = [
    'schemas/a', 'db/a', 'src/a', 'src/old/b', 'plugins/p', 'routes/api/old/index', 'sdk/src/index', 'sdk/src/old',
    'sdk/src/cli/main'
  ]
  for (const source of sources) write(`${source}.ts`)
  return {
    write,
    has: (...files: string[]) => files.filter(file => existsSync(join(folder, file))),
    remove: (file: string) => rmSync(join(folder, file), { recursive: true }),
    move: (from: string, to: string) => renameSync(join(folder, from), join(folder, to)),
    compile: (...args: string[]) => {
      execFileSync(process.execPath, ['scripts/compile.js', ...args], { cwd: folder, stdio: 'pipe' })
    }
  }
}

t.test('outputs of deleted and moved sources are deleted, and nothing else', async t => {
  const { write, has, remove, move, compile } = createProject()
  compile()
  const outputs = ['dist/plugins/p.js', 'dist/plugins/p.js.map', 'dist/src/old/b.js', 'dist/routes/api/old/index.js']
  t.same(has(...outputs), outputs)
  const assets = ['dist/plugins/style.css', 'dist/src/old/data.json', 'dist/ui/app.js']
  for (const asset of assets) write(asset)

  remove('plugins/p.ts')
  remove('routes/api')
  move('src/old/b.ts', 'src/b.ts')
  compile()
  t.same(has(...outputs, 'dist/routes/api'), [])
  t.same(has(...assets, 'dist/src/a.js', 'dist/src/b.js'), [...assets, 'dist/src/a.js', 'dist/src/b.js'])

  write('dist/plugins/earlier.js')
  compile()
  t.same(has('dist/plugins/earlier.js'), [], 'an output from before the last compilation is deleted as well')
})

t.test('a restored source is compiled again, even after other compilations', async t => {
  const { write, has, remove, compile } = createProject()
  compile('--all')
  remove('plugins/p.ts')
  compile()
  t.same(has('dist/plugins/p.js'), [])
  write('plugins/p.ts')
  compile('--all')
  t.same(has('dist/plugins/p.js', 'sdk/dist/old.js'), ['dist/plugins/p.js', 'sdk/dist/old.js'])
  remove('plugins/p.ts')
  remove('sdk/src/old.ts')
  compile('--all')
  t.same(has('dist/plugins/p.js', 'sdk/dist/old.js', 'sdk/dist/old.d.ts'), [])
  t.same(has('sdk/dist/cli/main.js'), ['sdk/dist/cli/main.js'])
  write('plugins/p.ts')
  compile()
  t.same(has('dist/plugins/p.js'), ['dist/plugins/p.js'])
})

t.test('without sources, as in the image, nothing is deleted', async t => {
  const { has, remove, compile } = createProject()
  compile()
  for (const file of ['schemas', 'db', 'src', 'plugins', 'routes', 'tsconfig.json', 'tsconfig.build.json']) remove(file)
  compile()
  t.same(has('dist/plugins/p.js', 'dist/src/a.js'), ['dist/plugins/p.js', 'dist/src/a.js'])
})

t.test('every command that runs compiled code compiles first', async t => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const running = Object.entries(scripts).filter(([, command]) => command.includes('dist/'))
  t.ok(running.length > 5, `${running.length} commands`)
  const compiles = /^node scripts\/compile\.js( --all)?( && node scripts\/build-console\.js( --optional)?)?$/
  t.same(running.map(([name]) => name).filter(name => !compiles.test(scripts[`pre${name}`] ?? '')), [])
  t.same(
    Object.entries(scripts).filter(([, command]) => /\btsc\b/.test(command) && !command.includes('--noEmit')), [],
    'and none calls the compiler without deleting stale outputs'
  )
})
