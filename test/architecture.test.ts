import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import t from 'tap'

/*
 * Imports run one way (docs/ARCHITECTURE.md): routes -> plugins -> src -> db -> schemas. The tests read the import
 * lines of the sources.
 */

// Compiled tests run in dist/test, one level below the root.
const root = [join(import.meta.dirname, '..'), join(import.meta.dirname, '../..')].find(dir =>
  readdirSync(dir).includes('package.json')
) as string
const layers = ['schemas', 'db', 'src', 'plugins', 'routes'] as const
type Layer = typeof layers[number]

interface Import { from: string, layer: Layer, target: string, isTypeOnly: boolean }

const files = layers.flatMap(layer => readdirSync(join(root, layer), { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts')).map(file => join(layer, file).split(sep).join('/')))
const text = (file: string) => readFileSync(join(root, file), 'utf8')

const importForm =
  /^\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
/** Returns what a file imports: paths from the root for its own files, names for packages. */
const importsOf = (file: string) => [...text(file).matchAll(importForm)].map(([, type, named, dynamic]) => {
  const target = named ?? dynamic ?? ''
  return {
    target: target.startsWith('.')
      ? relative(root, resolve(root, dirname(file), target)).split(sep).join('/')
      : target,
    isTypeOnly: type !== undefined
  }
})
const imports: Import[] = files.flatMap(file =>
  importsOf(file).map(found => ({ from: file, layer: file.split('/')[0] as Layer, ...found }))
)
const ours = imports.filter(({ target }) => layers.includes(target.split('/')[0] as Layer))
const said = ({ from, target }: Pick<Import, 'from' | 'target'>) => `${from} imports ${target}`
const layerOf = (file: string) => file.split('/')[0] as Layer

t.test('the import scanner finds all imports', async t => {
  t.ok(files.length > 100, `${files.length} files`)
  t.ok(ours.length > 300, `${ours.length} internal imports`)
  const missing = ours.filter(({ target }) => !files.includes(target))
  t.same(missing.map(said), [], 'each resolves to a file')
  t.same(imports.filter(({ target }) => /^\.|^\//.test(target)).map(said), [], 'and none out of the layers')
})

t.test('schemas import nothing internal, db only schemas', async t => {
  t.same(ours.filter(({ layer, target }) => layer === 'schemas' && layerOf(target) !== 'schemas').map(said), [])
  t.same(
    ours.filter(({ layer, target }) => layer === 'db' && !['db', 'schemas'].includes(layerOf(target))).map(said), []
  )
})

t.test('src imports no plugin and no route', async t => {
  t.same(
    ours.filter(({ layer, target }) => layer === 'src' && ['plugins', 'routes'].includes(layerOf(target))).map(said), []
  )
})

t.test('delivery imports no sockets, except in its folder sockets/', async t => {
  const isOfSockets = (file: string) => file.startsWith('src/delivery/sockets/')
  const others = ours.filter(({ from }) => from.startsWith('src/delivery/') && !isOfSockets(from))
  const found = others.filter(({ target }) => isOfSockets(target))
  t.ok(others.length > found.length)
  t.same(found.map(said), [])
})

t.test('src imports fastify only where the app is built, elsewhere at most as a type', async t => {
  const builders = ['src/app.ts', 'src/server.ts', 'src/cli/print-openapi.ts']
  const typesOnly = [
    'src/foundation/http/assets.ts', 'src/foundation/http/generated-text.ts', 'src/cli/banner.ts',
    'src/foundation/http/openapi.ts', 'src/foundation/http/validation.ts'
  ]
  const found = imports.filter(({ layer, target }) =>
    layer === 'src' && (target === 'fastify' || target.startsWith('@fastify/'))
  )
  t.same(found.filter(({ from }) => !builders.includes(from) && !typesOnly.includes(from)).map(said), [])
  t.same(found.filter(({ from, isTypeOnly }) => typesOnly.includes(from) && !isTypeOnly).map(said), [])
})

t.test('a plugin imports no other plugin and no route', async t => {
  t.same(
    ours.filter(({ layer, target }) => layer === 'plugins' && ['plugins', 'routes'].includes(layerOf(target))).map(
      said
    ),
    []
  )
})

t.test('a route imports schemas, and otherwise only types', async t => {
  t.same(
    ours.filter(({ layer, target, isTypeOnly }) => layer === 'routes' && layerOf(target) !== 'schemas' && !isTypeOnly)
      .map(said),
    []
  )
})

t.test('every folder below routes is a section, with its handlers in index.ts', async t => {
  t.same(files.filter(file => layerOf(file) === 'routes' && !file.endsWith('/index.ts')), [])
})

t.test('only src/config.ts reads the environment', async t => {
  // PostgreSQL's programs get part of the environment; it is not read.
  const passing = ['db/embedded/settings.ts', 'db/embedded/processes.ts']
  const readers = files.filter(file =>
    /\bprocess\s*\.\s*env\b|\bimport\.meta\.env\b/.test(text(file)) && file !== 'src/config.ts' &&
    !passing.includes(file)
  )
  t.same(readers, [])
})

/* The folders of src/, and import cycles. */

const inSrc = ours.filter(({ layer, target }) => layer === 'src' && layerOf(target) === 'src')
const edges = inSrc.map(({ from, target }) => [from.slice('src/'.length), target.slice('src/'.length)] as const)

/**
 * The order of the folders of `src/`, from the table of docs/ARCHITECTURE.md: each row may import the rows below it.
 */
const order = [...text('docs/ARCHITECTURE.md').matchAll(/^\| \[`([a-z-]+(?:\/|\.ts))`\]\(\.\.\/src\//gm)].map((
  [, name]
) => name ?? '')
const room = (file: string) => file.includes('/') ? `${file.split('/')[0]}/` : file

/** Returns groups of two or more that import each other in a cycle (Tarjan's algorithm). */
function cycles (pairs: Iterable<readonly [string, string]>): string[] {
  const next = new Map<string, Set<string>>()
  for (const [from, to] of pairs) if (from !== to) next.set(from, (next.get(from) ?? new Set()).add(to))
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const found: string[] = []
  const visit = (node: string): number => {
    index.set(node, index.size)
    let lowest = index.get(node) as number
    stack.push(node)
    for (const to of next.get(node) ?? []) {
      if (!index.has(to)) lowest = Math.min(lowest, visit(to))
      else if (stack.includes(to)) lowest = Math.min(lowest, index.get(to) as number)
    }
    low.set(node, lowest)
    if (lowest === index.get(node)) {
      const group = stack.splice(stack.indexOf(node))
      if (group.length > 1) found.push(group.sort().join(', '))
    }
    return lowest
  }
  for (const node of next.keys()) if (!index.has(node)) visit(node)
  return found
}

t.test('the check for cycles finds one', async t => {
  t.same(cycles([['a', 'b'], ['b', 'c'], ['c', 'b'], ['c', 'd']]), ['b, c'])
})

t.test('the table of ARCHITECTURE.md lists every folder and file of src', async t => {
  t.same(
    [...order].sort(),
    [...new Set(files.filter(file => layerOf(file) === 'src').map(file => room(file.slice('src/'.length))))].sort()
  )
})

t.test('a folder of src imports only folders below it in the table', async t => {
  const upward = edges.filter(([from, to]) => order.indexOf(room(from)) > order.indexOf(room(to)))
  t.same(upward.map(([from, to]) => `${from} imports ${to}`), [])
})

t.test('the files of src have no import cycles', async t => {
  t.same(cycles(edges), [])
})

t.test('the folders within a folder of src have no import cycles', async t => {
  const folders = new Set(files.filter(file => layerOf(file) === 'src').flatMap(file => {
    const parts = dirname(file).split('/')
    return parts.slice(1).map((_, i) => parts.slice(1, i + 2).join('/'))
  }))
  for (const folder of folders) {
    // The files directly in a folder are covered by the test of files.
    const within = (file: string) => {
      const rest = file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : ''
      return rest.includes('/') ? rest.split('/')[0] : undefined
    }
    t.same(cycles(edges.flatMap(([from, to]) => {
      const [a, b] = [within(from), within(to)]
      return a === undefined || b === undefined ? [] : [[a, b] as const]
    })), [], folder)
  }
})

/* The client library: it is published alone, so it imports nothing of the server. */

const library = JSON.parse(text('sdk/package.json')) as {
  exports: Record<string, string | { default: string }>
  imports: Record<string, Record<string, string>>
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
}
const toSource = (built: string) => built.replace(/^\.\/dist\//, 'sdk/src/').replace(/(\.d)?\.[jt]s$/, '.ts')
const sdkFiles = readdirSync(join(root, 'sdk/src'), { recursive: true, encoding: 'utf8' })
  .filter(file => /\.tsx?$/.test(file)).map(file => `sdk/src/${file.split(sep).join('/')}`)
const sdkImports = sdkFiles.flatMap(from => importsOf(from).flatMap(({ target, isTypeOnly }) => {
  // A name of package.json stands for several files, of which each platform loads one.
  const files = Object.values(library.imports[target] ?? { own: target }).map(toSource)
  return [...new Set(files)].map(target => ({ from, target, isTypeOnly }))
}))
const isOfCli = (file: string) => file.startsWith('sdk/src/cli/')
/** The file that the package loads in Node only. */
const nodeOnly = 'sdk/src/connection/web-socket-node.ts'

t.test('the scanner finds all imports of the client library', async t => {
  t.ok(sdkFiles.length > 40, `${sdkFiles.length} files`)
  const own = sdkImports.filter(({ target }) => sdkFiles.includes(target))
  t.ok(own.length > 100, `${own.length} internal imports`)
  t.ok(sdkFiles.includes(nodeOnly))
  t.ok(sdkImports.some(({ target }) => target === nodeOnly), 'also those by a name of package.json')
})

t.test('the client library imports only its own files, its dependencies, and Node where it is present', async t => {
  const declared = Object.keys({ ...library.dependencies, ...library.peerDependencies })
  const isAllowed = ({ from, target }: { from: string, target: string }) =>
    sdkFiles.includes(target) || declared.includes(target) ||
    (target.startsWith('node:') && (isOfCli(from) || from === nodeOnly))
  t.same(sdkImports.filter(found => !isAllowed(found)).map(said), [])
  t.same(sdkImports.filter(({ from, target }) => isOfCli(target) && !isOfCli(from)).map(said), [], 'none uses the CLI')
})

t.test('the files of the client library have no import cycles', async t => {
  t.same(cycles(sdkImports.map(({ from, target }) => [from, target] as const)), [])
})

t.test('each entry of the client library loads only the packages that it is for', async t => {
  const allowed: Record<string, string[]> = {
    '.': [], './webhook': [], './react': ['react'], './socket.io': ['socket.io-client'], './admin': ['openapi-fetch']
  }
  for (const [entry, target] of Object.entries(library.exports)) {
    if (typeof target === 'string') continue
    const reached = new Set([toSource(target.default)])
    for (const file of reached) {
      for (const { from, target, isTypeOnly } of sdkImports) if (from === file && !isTypeOnly) reached.add(target)
    }
    // `ws` is loaded in Node only, and only if there is no other WebSocket.
    const packages = [...reached].filter(target => !sdkFiles.includes(target) && target !== 'ws')
    t.same(packages, allowed[entry], entry)
  }
  t.same(sdkImports.filter(({ target }) => target === 'ws').map(({ from }) => from), [nodeOnly])
})

t.test('generated files of the client library are types only, except for one list', async t => {
  const generated = sdkFiles.filter(file => file.endsWith('.gen.ts'))
  t.ok(generated.length > 2)
  const values = /^export (?!type\b|interface\b|declare\b)|^import (?!type\b)/m
  t.same(generated.filter(file => values.test(text(file))), ['sdk/src/admin/idempotent.gen.ts'])
})

t.test('tests share code only through test/support', async t => {
  const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts')).map(file => join('test', file).split(sep).join('/'))
  const folder = (file: string) => file.split('/')[1] ?? ''
  const shared = tests.flatMap(from => [...text(from).matchAll(importForm)].map(([, , named]) => ({
    from, target: relative(root, resolve(root, dirname(from), named ?? '')).split(sep).join('/')
  }))).filter(({ from, target }) =>
    tests.includes(target) && folder(target) !== 'support' && folder(target) !== folder(from))
  t.same(shared.map(({ from, target }) => `${from} imports ${target}`), [])
  t.same(
    readdirSync(join(root, 'test')).filter(name => name.endsWith('.ts')), ['architecture.test.ts', 'run.ts'],
    'and no helper is outside a folder'
  )
})
