import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve as resolvePath } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import t from 'tap'
import { read, root } from '../support/repository.ts'

/* The package as `npm pack` makes it: its files, its types, its sizes, and a project that uses it. */

t.setTimeout(600_000)

const run = promisify(execFile)
const { resolve } = createRequire(import.meta.url)
// tap adds a loader to the Node of child processes.
const { NODE_OPTIONS: _, ...env } = process.env

interface Manifest {
  name: string
  sideEffects: boolean
  exports: Record<string, unknown>
  dependencies: Record<string, string>
}
const manifest = JSON.parse(read('sdk/package.json')) as Manifest
const entries = Object.keys(manifest.exports).filter(entry => entry !== './package.json')
const specifier = (entry: string) => manifest.name + entry.slice(1)

const folder = await mkdtemp(join(tmpdir(), 'realtime-package-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const { stdout: packed } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
  cwd: join(root, 'sdk'), env
})
const [{ filename, files } = { filename: '', files: [] }] = JSON.parse(packed) as
  { filename: string, files: { path: string }[] }[]
const tarball = join(folder, filename)
const modules = join(folder, 'node_modules')
const installed = join(modules, manifest.name)
await mkdir(installed, { recursive: true })
await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
for (const name of ['openapi-fetch', 'ws', 'react', 'socket.io-client', '@types/react', '@types/node', '@types/ws']) {
  await mkdir(dirname(join(modules, name)), { recursive: true })
  await symlink(join(root, 'node_modules', name), join(modules, name))
}
await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', type: 'module', private: true }))

/** Returns the minified bundle of a script for browsers. Files outside `own`, a folder of dist, are left out. */
async function bundle (source: string, { own, external = [] }: { own?: string, external?: string[] } = {}) {
  const ownFolder = own === undefined ? installed : join(installed, 'dist', own)
  const { outputFiles: [output] } = await build({
    stdin: { contents: source, resolveDir: folder },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external,
    plugins: [{
      name: 'own',
      setup ({ onResolve }) {
        onResolve({ filter: /^\.{1,2}\// }, ({ path, importer, resolveDir }) =>
          importer.startsWith(installed) && !resolvePath(resolveDir, path).startsWith(ownFolder)
            ? { path, external: true }
            : undefined)
      }
    }]
  })
  return output?.text ?? ''
}
const gzipped = (text: string) => gzipSync(text, { level: 9 }).length

t.test('the package has the compiled code and its types, and no path of the machine that built it', async t => {
  const paths = files.map(({ path }) => path)
  t.ok(paths.includes('dist/index.js') && paths.includes('dist/index.d.ts') && paths.includes('README.md'))
  t.same(paths.filter(path => !/^dist\/.+\.(js|d\.ts|js\.map)$|^(package\.json|README\.md)$/.test(path)), [])
  for (const path of paths) {
    const text = await readFile(join(installed, path), 'utf8')
    if (text.includes(root)) t.fail(`${path} has a path of this machine`)
  }
  t.equal(manifest.sideEffects, false)
  t.same(manifest.dependencies, { 'openapi-fetch': manifest.dependencies['openapi-fetch'] }, 'for ./admin alone')
})

t.test('every compiled file has its source', async t => {
  const sources = await readdir(join(root, 'sdk/src'), { recursive: true })
  const outputs = files.map(({ path }) => path).filter(path => path.endsWith('.js'))
  t.same(outputs.filter(path => !sources.includes(path.replace(/^dist\//, '').replace(/\.js$/, '.ts'))), [])
})

t.test('publint finds nothing', async t => {
  const data = await readFile(tarball)
  const tarballData = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)
  const { messages, pkg } = await publint({ pack: { tarball: tarballData as ArrayBuffer }, strict: true })
  t.same(messages.map(message => formatMessage(message, pkg)), [])
})

t.test('every entry has types that match its code, in ESM', async t => {
  const attw = join(root, 'node_modules/.bin/attw')
  const { stdout } = await run(attw, [tarball, '--profile', 'esm-only', '--format', 'json', '--no-emoji'], { env })
    .catch((error: { stdout: string }) => error)
  const { problems = {} } = JSON.parse(stdout) as { problems?: Record<string, { resolutionKind: string }[]> }
  // The package is ESM only: CommonJS and the resolution of Node 10 do not find it.
  const others = Object.values(problems).flat().filter(({ resolutionKind }) =>
    !['node10', 'node16-cjs'].includes(resolutionKind))
  t.same(others, [])
})

t.test('the sizes hold', async t => {
  const sizes: [name: string, max: number, source: string, options?: { own?: string, external?: string[] }][] = [
    ['RealtimeCore', 9000, `export { RealtimeCore } from '${manifest.name}'`],
    ['RealtimeClient', 17_500, `export { RealtimeClient } from '${manifest.name}'`],
    ['./react', 2000, `export * from '${manifest.name}/react'`, { own: 'react', external: ['react'] }],
    ['./socket.io with socket.io-client', 15_000, `export * from '${manifest.name}/socket.io'`, { own: 'socket-io' }],
    ['./webhook', 2000, `export * from '${manifest.name}/webhook'`],
    ['decodeToken alone', 500, `export { decodeToken } from '${manifest.name}'`]
  ]
  for (const [name, max, source, options] of sizes) {
    const bytes = gzipped(await bundle(source, options))
    t.ok(bytes <= max, `${name} has ${bytes} bytes with gzip, of ${max}`)
    t.comment(`${name}: ${bytes} of ${max} bytes`)
  }
  t.comment(`everything of the main entry: ${gzipped(await bundle(`export * from '${manifest.name}'`))}`)
})

t.test('the bundle for browsers has no part of Node', async t => {
  const text = await bundle(`export * from '${manifest.name}'`)
  t.notMatch(text, /from\s*["'](node:|ws["'])|import\(["'](node:|ws["'])|require\(/)
})

t.test('Node imports every entry', async t => {
  const script = entries.map(entry => `await import('${specifier(entry)}')`).join('\n')
  await writeFile(join(folder, 'imports.mjs'), script)
  await t.resolves(run(process.execPath, ['imports.mjs'], { cwd: folder, env }))
  await t.resolves(run(process.execPath, [join(installed, 'dist/cli/main.js'), '--help'], { env, cwd: folder }))
})

t.test('the types compile in a project, with the types of Node and with those of the DOM', async t => {
  const imports = entries.map((entry, i) => `import * as entry${i} from '${specifier(entry)}'`)
  await writeFile(join(folder, 'use.ts'), `${imports.join('\n')}
    import { RealtimeClient } from '${manifest.name}'
    export const all: object[] = [${entries.map((_, i) => `entry${i}`).join(', ')}]
    export const client = new RealtimeClient({ url: 'http://localhost:3000', token: async () => 'token' })
  `)
  const common = { strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true, target: 'ES2022' }
  const projects = {
    'Node16 with the types of Node': {
      module: 'Node16', moduleResolution: 'Node16', lib: ['ES2023'], types: ['node']
    },
    'a bundler with the types of the DOM': {
      module: 'ESNext', moduleResolution: 'Bundler', lib: ['ES2023', 'DOM', 'DOM.Iterable'], types: []
    }
  }
  for (const [name, options] of Object.entries(projects)) {
    const config = join(folder, 'tsconfig.json')
    await writeFile(config, JSON.stringify({ compilerOptions: { ...common, ...options }, files: ['use.ts'] }))
    const { stdout } = await run(process.execPath, [resolve('typescript/bin/tsc'), '-p', config], { env, cwd: folder })
      .catch((error: { stdout: string }) => error)
    // The types of other packages are theirs.
    t.same(stdout.split('\n').filter(line => /^use\.ts|realtime-platform|^error/.test(line)).slice(0, 5), [], name)
  }
})
