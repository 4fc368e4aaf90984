import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts'

/** Starts a cluster in a temporary folder. Tests that kill it keep it durable. */
export async function startTestPostgres (
  { isDurable = false, settings = {} }: { isDurable?: boolean, settings?: Record<string, string> } = {}
) {
  const dataDir = await mkdtemp(join(tmpdir(), 'realtime-test-'))
  await chmod(dataDir, 0o755)
  const server = await startEmbeddedPostgres({
    dataDir,
    databases: ['realtime'],
    log: () => {},
    settings: { ...(!isDurable && { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }), ...settings }
  })
  return {
    url: server.connectionString('realtime'),
    async stop () {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    }
  }
}
