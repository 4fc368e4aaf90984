import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fail, isWritable, modified, newest } from './files.js'

// Compiles the server before `npm start` and the other commands that run it, if a source has changed. With `--all`, it
// checks the types and compiles tests, benchmarks and the demo as well. Then it deletes the outputs of sources that
// were deleted or moved, which the server would load: every file in dist/plugins and dist/routes is a plugin. Those in
// sdk/dist would be part of the package. The image has compiled code only, so this does nothing there.

const root = join(import.meta.dirname, '..')
const output = join(root, 'dist')
const project = join(root, 'tsconfig.build.json')
const stamp = join(output, '.tsbuildinfo-server')
const serverFolders = ['schemas', 'db', 'src', 'plugins', 'routes']
const folders = [...serverFolders, 'test', 'bench', 'demo']
const sources = serverFolders.map(folder => join(root, folder))

if (process.argv.includes('--all')) {
  compile(join(root, 'tsconfig.json'))
  deleteStale()
  deleteStaleOfClient()
} else if (existsSync(project)) {
  if (newest([project, ...sources]) > modified(stamp)) {
    process.stdout.write(
      existsSync(stamp)
        ? 'Compiling changed files…\n'
        : 'Compiling the server. This takes a few seconds the first time…\n'
    )
    compile(project)
  }
  deleteStale()
}

/** @param {string} project */
function compile (project) {
  requireWritable('The server must be compiled')
  const { status } = spawnSync(process.execPath, [compiler(), '-b', project], { stdio: 'inherit', cwd: root })
  if (status !== 0) process.exit(status ?? 1)
}

/** Deletes compiled files without a source. Other files in `dist` stay. */
function deleteStale () {
  const stale = folders.flatMap(folder => existsSync(join(root, folder)) ? staleIn(folder) : [])
  if (stale.length === 0) return
  requireWritable('Outputs of deleted sources must be deleted')
  for (const file of stale) rmSync(join(output, file))
  for (const folder of new Set(stale.map(file => dirname(file)))) deleteIfEmpty(folder)
  // The compiler would not write these files again if their sources came back as they were. The state that it has just
  // written does not list them; that of the other project may.
  for (const name of ['.tsbuildinfo', '.tsbuildinfo-server']) {
    const state = join(output, name)
    const text = existsSync(state) ? readFileSync(state, 'utf8') : ''
    if (stale.some(file => text.includes(`"../${sourceOf(file)}"`))) rmSync(state)
  }
}

/** Deletes compiled files of the client library without a source. */
function deleteStaleOfClient () {
  const place = join(root, 'sdk/dist')
  if (!existsSync(place)) return
  const stale = readdirSync(place, { recursive: true, encoding: 'utf8' }).filter(file =>
    /\.(js|js\.map|d\.ts)$/.test(file) &&
    !existsSync(join(root, 'sdk/src', file.replace(/\.(js|js\.map|d\.ts)$/, '.ts'))))
  for (const file of stale) rmSync(join(place, file))
  // As above: the compiler would not write them again.
  if (stale.length === 0) return
  for (const name of ['.tsbuildinfo', '.tsbuildinfo-cli']) rmSync(join(place, name), { force: true })
}

/** @param {string} folder @returns {string[]} */
function staleIn (folder) {
  const place = join(output, folder)
  if (!existsSync(place)) return []
  return readdirSync(place, { withFileTypes: true }).flatMap(entry => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return staleIn(path)
    return /\.js(\.map)?$/.test(path) && !existsSync(join(root, sourceOf(path))) ? [path] : []
  })
}

/** @param {string} file */
function sourceOf (file) {
  return file.replace(/\.js(\.map)?$/, '.ts')
}

/** @param {string} folder */
function deleteIfEmpty (folder) {
  const place = join(output, folder)
  if (folder === '.' || !existsSync(place) || readdirSync(place).length > 0) return
  rmdirSync(place)
  deleteIfEmpty(dirname(folder))
}

/** @param {string} need */
function requireWritable (need) {
  if (!isWritable(output)) {
    fail(`${need}, but ${output} is not writable. Run "npm run build" as a user who may write there.`)
  }
}

function compiler () {
  try {
    return createRequire(import.meta.url).resolve('typescript/bin/tsc')
  } catch {
    return fail('TypeScript is not installed, so the server cannot be compiled. Run "npm ci" first.')
  }
}
