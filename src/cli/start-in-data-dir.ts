import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { connectionsNeeded } from './connection-share.ts'
import { EmbeddedDatabase } from './embedded-database.ts'
import { dataDirFailure } from './start-failure.ts'
import type { Part } from './until-stopped.ts'

/**
 * Prepares what DATA_DIR holds: the development key and the embedded PostgreSQL, each unless a variable replaces it.
 */
export async function startInDataDir (config: Config, logger: Logger, started: Part[]): Promise<void> {
  const { dataDir, url } = config.database
  try {
    if (url === undefined || config.encryptionKeys.length === 0) await makeFolder(resolve(dataDir))
    if (config.encryptionKeys.length === 0) config.encryptionKeys = [await developmentKey(dataDir)]
    if (url !== undefined) return
    const database = new EmbeddedDatabase({
      dataDir,
      databases: ['realtime', 'demo'],
      settings: { max_connections: String(Math.max(200, connectionsNeeded(config.workers.count))) },
      log: (level, message, { err, ...fields } = {}) =>
        logger[level]({ postgres: fields, ...(err !== undefined && { err }) }, message)
    })
    started.push(database)
    config.database.url = (await database.start()).connectionString('realtime')
  } catch (error) {
    throw dataDirFailure(error, dataDir)
  }
}

/**
 * Creates a folder with its parents, one by one: `mkdir` with `recursive` never returns where the file system refuses a
 * folder with ENOENT, such as below /proc.
 */
async function makeFolder (path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) return
  if (found === undefined && dirname(path) !== path) await makeFolder(dirname(path))
  await mkdir(path).catch(async (error: unknown) => {
    // Another process may have been faster.
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) throw error
  })
}

/**
 * Returns the development key, which is generated once and kept, so that stored secrets stay readable after a restart.
 */
async function developmentKey (dataDir: string): Promise<Buffer> {
  const file = join(dataDir, 'encryption-key')
  try {
    await writeFile(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return Buffer.from(await readFile(file, 'utf8'), 'base64')
}
