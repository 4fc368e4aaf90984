import { spawn } from 'node:child_process'
import { startTestPostgres } from './support/postgres.ts'

/**
 * `npm test`: starts one PostgreSQL for all files, then runs tap with the given arguments. Writes one line per file,
 * also into a pipe.
 */
const server = await startTestPostgres()
const preloaded = new URL('support/plain-files.js', import.meta.url).href
const tap = spawn(process.execPath, [
  '--import',
  preloaded,
  'node_modules/tap/dist/esm/run.mjs',
  ...process.argv.slice(2)
], {
  stdio: 'inherit',
  env: { TAP_REPORTER: 'base', ...process.env, TEST_DATABASE_URL: server.url, TEST_RUN: String(process.pid) }
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tap.kill(signal))
const code = await new Promise<number>(resolve => tap.on('exit', code => resolve(code ?? 1)))
await server.stop()
process.exitCode = code
