import { readFileSync, readdirSync } from 'node:fs'
import { buildApp } from '../../src/app.ts'
import { limitHeapGrowth } from '../../src/cli/heap-growth.ts'
import type { Part } from '../../src/cli/until-stopped.ts'
import { startWorkers } from '../../src/cli/workers.ts'
import { createConfig } from '../../src/config.ts'
import { createLogger } from '../../src/foundation/observability/logger.ts'
import { steadyPort } from '../../test/support/steady-port.ts'
import { tenant } from '../../test/support/tenant.ts'
import { answerCalls } from '../children.ts'
import { cpuSeconds } from './usage.ts'

/* The parent of two workers, as `WORKERS=2 npm start`, with the settings of the single platform beside it. */

const ticksPerSecond = 100
const started: Part[] = []

limitHeapGrowth()

async function start (databaseUrl: string, topic: string): Promise<{ url: string, token: string }> {
  Object.assign(process.env, {
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    RATE_LIMIT_MAX: '0',
    CONNECTIONS_PER_ADDRESS_MAX: '0',
    LOG_LEVEL: 'error',
    WORKERS: '2',
    PORT: String(await steadyPort())
  })
  const config = createConfig(process.env)
  const logger = createLogger(config)
  const app = await buildApp({ config, logger })
  const own = await tenant(app)
  await own.topic(topic)
  const token = own.token()
  await app.close()
  const { url } = await startWorkers({ config, logger, started, onGivenUp: () => process.exit(1) })
  return { url, token }
}

/** Returns the CPU time of the parent and its workers. */
function cpuSecondsOfAll (): number {
  const children = readdirSync('/proc').filter(name => /^\d+$/.test(name)).flatMap(pid => {
    try {
      // The name of the program may contain spaces; it ends with the last bracket.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
      return Number(fields[1]) === process.pid ? [(Number(fields[11]) + Number(fields[12])) / ticksPerSecond] : []
    } catch {
      // It has ended meanwhile.
      return []
    }
  })
  return children.reduce((sum, seconds) => sum + seconds, cpuSeconds())
}

const methods = { start, cpuSeconds: cpuSecondsOfAll }
export type WorkersServer = typeof methods
answerCalls(methods, async () => { for (const part of started.reverse()) await part.close() })
