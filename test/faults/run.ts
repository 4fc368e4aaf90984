import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/*
 * `npm run test:faults` runs the long forms of the fault tests, one after the other; `npm test` runs the short ones.
 * Environment variables override those below. Arguments select files: `npm run test:faults -- kill-nodes sleep`.
 */

const long: Record<string, string> = {
  KILL_SUBSCRIBERS: '200',
  KILL_EVENTS: '20000',
  KILLS: '10',
  REDIS_KILLS: '5',
  REDIS_SUBSCRIBERS: '100',
  POSTGRES_KILLS: '5',
  POSTGRES_SUBSCRIBERS: '100',
  SLEEP_SECONDS: '30',
  ROLLING_ROUNDS: '3',
  DISK_ROUNDS: '3',
  MIGRATION_EVENTS: '500000',
  PRESENCE_SECONDS: '60',
  CDC_KILLS: '5',
  CDC_TRANSACTIONS: '3000',
  WEBHOOK_EVENTS: '3000',
  WEBHOOK_KILLS: '3'
}

const named = process.argv.slice(2)
const files = [
  ...readdirSync(import.meta.dirname).filter(name => name.endsWith('.test.js')).map(name =>
    join('dist/test/faults', name)
  ),
  'dist/test/cluster/presence.test.js'
].filter(file => named.length === 0 || named.some(name => file.endsWith(`/${name}.test.js`)))
const tests = spawn(process.execPath, ['dist/test/run.js', '--jobs=1', '--timeout=3600', ...files], {
  stdio: 'inherit', env: { ...long, ...process.env }
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests.kill(signal))
tests.on('exit', code => { process.exitCode = code ?? 1 })
