import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import t from 'tap'

/* Imports run one way (docs/ARCHITECTURE.md): routes -> plugins -> src -> db -> schemas. Read from the sources' import lines. */

// Compiled tests run in dist/test; the sources are a floor below.
const root = [join(import.meta.dirname, '..'), join(import.meta.dirname, '../..')].find(dir => readdirSync(dir).includes('package.json')) as string
const layers = ['schemas', 'db', 'src', 'plugins', 'routes'] as const
type Layer = typeof layers[number]

interface Import { from: string, layer: Layer, target: string, isTypeOnly: boolean }

const files = layers.flatMap(layer => readdirSync(join(root, layer), { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts')).map(file => join(layer, file).split(sep).join('/')))
const text = (file: string) => readFileSync(join(root, file), 'utf8')

const importForm = /^\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
const imports: Import[] = files.flatMap(file => [...text(file).matchAll(importForm)].map(([, type, named, dynamic]) => {
  const target = named ?? dynamic ?? ''
  return {
    from: file,
    layer: file.split('/')[0] as Layer,
    target: target.startsWith('.') ? relative(root, resolve(root, dirname(file), target)).split(sep).join('/') : target,
    isTypeOnly: type !== undefined
  }
}))
const ours = imports.filter(({ target }) => layers.includes(target.split('/')[0] as Layer))
const said = ({ from, target }: Import) => `${from} imports ${target}`
const layerOf = (file: string) => file.split('/')[0] as Layer

t.test('the reading itself sees what is there', async t => {
  t.ok(files.length > 100, `${files.length} files`)
  t.ok(ours.length > 300, `${ours.length} imports of our own`)
  const missing = ours.filter(({ target }) => !files.includes(target))
  t.same(missing.map(said), [], 'each leads to a file')
  t.same(imports.filter(({ target }) => /^\.|^\//.test(target)).map(said), [], 'and none out of the layers')
})

t.test('schemas import nothing of ours, db only schemas', async t => {
  t.same(ours.filter(({ layer, target }) => layer === 'schemas' && layerOf(target) !== 'schemas').map(said), [])
  t.same(ours.filter(({ layer, target }) => layer === 'db' && !['db', 'schemas'].includes(layerOf(target))).map(said), [])
})

t.test('src knows no plugin and no route', async t => {
  t.same(ours.filter(({ layer, target }) => layer === 'src' && ['plugins', 'routes'].includes(layerOf(target))).map(said), [])
})

t.test('src knows no HTTP: fastify is imported where the app is put together, elsewhere as a type at most', async t => {
  const builders = ['src/app.ts', 'src/server.ts', 'src/cli/print-openapi.ts']
  const typesOnly = ['src/foundation/http/assets.ts', 'src/cli/banner.ts', 'src/foundation/http/openapi.ts', 'src/foundation/http/validation.ts']
  const found = imports.filter(({ layer, target }) => layer === 'src' && (target === 'fastify' || target.startsWith('@fastify/')))
  t.same(found.filter(({ from }) => !builders.includes(from) && !typesOnly.includes(from)).map(said), [])
  t.same(found.filter(({ from, isTypeOnly }) => typesOnly.includes(from) && !isTypeOnly).map(said), [])
})

t.test('a plugin imports no other plugin\'s file and no route', async t => {
  t.same(ours.filter(({ layer, target }) => layer === 'plugins' && ['plugins', 'routes'].includes(layerOf(target))).map(said), [])
})

t.test('a route imports schemas, and of the rest types only', async t => {
  t.same(ours.filter(({ layer, target, isTypeOnly }) => layer === 'routes' && layerOf(target) !== 'schemas' && !isTypeOnly).map(said), [])
})

t.test('every folder below routes is a section, with its handlers in index.ts', async t => {
  t.same(files.filter(file => layerOf(file) === 'routes' && !file.endsWith('/index.ts')), [])
})

t.test('the environment is read in src/config.ts alone', async t => {
  // What PostgreSQL's own programs see of ours is passed on, not read.
  const passing = ['db/embedded/settings.ts', 'db/embedded/processes.ts']
  const readers = files.filter(file => /\bprocess\s*\.\s*env\b|\bimport\.meta\.env\b/.test(text(file)) && file !== 'src/config.ts' && !passing.includes(file))
  t.same(readers, [])
})
