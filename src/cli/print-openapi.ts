import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts'
import { buildApp } from '../app.ts'
import { createConfig } from '../config.ts'

/**
 * `npm run openapi`: writes the generated document to openapi.json. The diff of that file shows every API change in a
 * review.
 */
const dataDir = await mkdtemp(join(tmpdir(), 'realtime-openapi-'))
await chmod(dataDir, 0o755)
const postgres = await startEmbeddedPostgres({ dataDir, databases: ['realtime'], log: () => {} })
const app = await buildApp({
  config: createConfig({
    DATABASE_URL: postgres.connectionString('realtime'), ENCRYPTION_KEY: Buffer.alloc(32).toString('base64')
  })
})
try {
  await app.ready()
  await writeFile('openapi.json', `${JSON.stringify(app.swagger(), null, 2)}\n`)
} finally {
  await app.close()
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
}
