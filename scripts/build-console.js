import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fail, isWritable, modified, newest } from './files.js'

// Builds the console into ui/dist if a source of it or of the client library has changed. Vite deletes the outputs of
// the build before. Without the sources, as in the image, this does nothing. With `--optional`, for `npm start`, a
// console that cannot be built does not keep the server from starting.

const root = join(import.meta.dirname, '..')
const ui = join(root, 'ui')
const page = join(ui, 'dist/index.html')
const isOptional = process.argv.includes('--optional')

if (existsSync(join(ui, 'vite.config.ts')) && newest(sources()) > modified(page)) build()

function sources () {
  const ownNames = readdirSync(ui).filter(name => !['dist', 'node_modules'].includes(name))
  return [
    ...ownNames.map(name => join(ui, name)),
    ...['sdk/src', 'sdk/package.json', 'package-lock.json'].map(name => join(root, name))
  ].filter(path => existsSync(path))
}

function build () {
  const vite = pathOf('vite', 'bin/vite.js')
  const compiler = pathOf('typescript', 'bin/tsc')
  if (vite === undefined || compiler === undefined) {
    return refuse('Vite is not installed. Run "npm ci" without --omit=dev to get the console')
  }
  if (!isWritable(join(ui, 'dist'))) return refuse(`${join(ui, 'dist')} is not writable`)
  process.stdout.write(
    existsSync(page)
      ? 'Building the console, because its sources have changed…\n'
      : 'Building the console. This takes a few seconds the first time…\n'
  )
  const start = new Date()
  // The console imports the compiled client library.
  if (!run(compiler, ['-b', 'sdk/tsconfig.json'], root)) return refuse('the client library does not compile')
  if (!run(vite, ['build', '--logLevel', 'warn'], ui)) return refuse('Vite reported the errors above')
  // A source that changed during the build is newer than its output.
  utimesSync(page, start, start)
}

/** @param {string} script @param {string[]} args @param {string} folder */
function run (script, args, folder) {
  return spawnSync(process.execPath, [script, ...args], { stdio: 'inherit', cwd: folder }).status === 0
}

/** @param {string} name @param {string} file */
function pathOf (name, file) {
  try {
    return join(createRequire(join(ui, 'package.json')).resolve(`${name}/package.json`), '..', file)
  } catch {
    return undefined
  }
}

/** @param {string} reason */
function refuse (reason) {
  const message = `The console could not be built: ${reason}.`
  if (!isOptional) fail(message)
  const rest = existsSync(page) ? 'The server shows its last build.' : 'The server starts without it.'
  process.stdout.write(`${message} ${rest}\n`)
}
