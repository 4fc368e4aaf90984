import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'

// Runs the server, which restarts on each change of its sources, and Vite's server, which shows the console and passes
// other requests on to it. Ctrl-C stops both, and the end of one ends the other.

const root = join(import.meta.dirname, '..')
const { resolve } = createRequire(join(root, 'ui/package.json'))
const vite = join(resolve('vite/package.json'), '../bin/vite.js')
const tsx = join(resolve('tsx/package.json'), '../dist/cli.mjs')
const platform = process.env.PLATFORM_URL ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`

const children = [
  spawn(process.execPath, [tsx, 'watch', '--clear-screen=false', 'src/server.ts'], { stdio: 'inherit', cwd: root }),
  spawn(process.execPath, [vite], {
    stdio: ['ignore', 'inherit', 'inherit'], cwd: join(root, 'ui'), env: { ...process.env, PLATFORM_URL: platform }
  })
]

let isStopping = false

/** @param {NodeJS.Signals} signal */
function stop (signal) {
  isStopping = true
  for (const child of children) child.kill(signal)
}

// A terminal sends Ctrl-C to the children as well. A second signal would end the server before it has stopped in order.
process.on('SIGINT', () => { isStopping = true })
for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) process.on(signal, () => stop(signal))
for (const child of children) {
  child.on('exit', code => {
    process.exitCode ||= isStopping ? 0 : code ?? 1
    if (!isStopping) stop('SIGTERM')
  })
}
