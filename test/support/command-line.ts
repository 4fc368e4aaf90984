import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Teardown } from './teardown.ts'

/* The command line of the client library as a separate process, in an empty home. */

const main = join(
  dirname(fileURLToPath(import.meta.resolve('@realtime-platform/client/package.json'))), 'dist/cli/main.js'
)

export interface Finished { code: number | null, stdout: string, stderr: string }

export async function emptyFolder (t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'realtime-cli-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Returns a function that starts the command line. It inherits only the given variables. */
export async function commandLine (t: Teardown, variables: Record<string, string> = {}) {
  const folder = await emptyFolder(t)

  function start (
    args: readonly string[], { input, more = {} }: { input?: string, more?: Record<string, string> } = {}
  ) {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder, stdio: 'pipe',
      env: { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: join(folder, 'config'), ...variables, ...more }
    })
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => { output[name] += text })
    }
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
    t.teardown(() => { child.kill('SIGKILL') })
    const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
    return { child, output, finished }
  }

  return {
    folder,
    start,
    run: (args: readonly string[], options: Parameters<typeof start>[1] = {}): Promise<Finished> =>
      start(args, options).finished
  }
}
