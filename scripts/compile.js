import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

// Compiles the server before `npm start` and the other commands that run it, if a source has changed. The image has
// compiled code only, so this does nothing there.

const root = join(import.meta.dirname, '..')
const project = join(root, 'tsconfig.build.json')
const stamp = join(root, 'dist', '.tsbuildinfo-server')
const sources = ['schemas', 'db', 'src', 'plugins', 'routes'].map(folder => join(root, folder))

if (existsSync(project) && newest([project, ...sources]) > modified(stamp)) compile()

function compile () {
  const output = join(root, 'dist')
  if (!isWritable(output)) {
    fail(
      `The server must be compiled, but ${output} is not writable. Run "npm run build" as a user who may write there.`
    )
  }
  process.stdout.write(
    existsSync(stamp)
      ? 'Compiling changed files…\n'
      : 'Compiling the server. This takes a few seconds the first time…\n'
  )
  const { status } = spawnSync(process.execPath, [compiler(), '-b', project], { stdio: 'inherit', cwd: root })
  if (status !== 0) process.exit(status ?? 1)
}

function compiler () {
  try {
    return createRequire(import.meta.url).resolve('typescript/bin/tsc')
  } catch {
    return fail('TypeScript is not installed, so the server cannot be compiled. Run "npm ci" first.')
  }
}

/** @param {string} path */
function isWritable (path) {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** @param {string} path */
function modified (path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0
}

/**
 * Returns the latest change of any file or folder below the paths. A folder changes when a file in it is added or
 * deleted.
 * @param {string[]} paths
 */
function newest (paths) {
  let latest = 0
  for (const path of paths) {
    const stats = statSync(path)
    latest = Math.max(
      latest, stats.mtimeMs, stats.isDirectory() ? newest(readdirSync(path).map(name => join(path, name))) : 0
    )
  }
  return latest
}

/** @param {string} message @returns {never} */
function fail (message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
