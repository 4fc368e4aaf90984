import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, chown, mkdtemp, open, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Account } from './account.ts'
import { superuser, toolEnvironment } from './settings.ts'

const run = promisify(execFile)
const stagePrefix = 'postgres.init-'
// Takes about a second, or much longer if a slow disk syncs.
const initTimeoutMs = 120_000

export interface ClusterOptions {
  dataDir: string
  clusterDir: string
  binDir: string
  account: Account | undefined
  /** False skips initdb's fsyncs, for tests. */
  isDurable: boolean
}

/**
 * Creates the cluster if it is missing, and returns the password of its superuser. The cluster gets its name only when
 * it is complete and on disk, so the next call discards what an interrupted one has left.
 */
export async function ensureCluster (options: ClusterOptions): Promise<{ password: string, isNew: boolean }> {
  const { dataDir, clusterDir } = options
  await removeStages(dataDir)
  const isNew = !await exists(join(clusterDir, 'PG_VERSION'))
  const password = await ensurePassword(join(dataDir, 'postgres-password'), isNew)
  if (isNew) await createCluster(options, password)
  return { password, isNew }
}

async function ensurePassword (path: string, isNew: boolean): Promise<string> {
  const kept = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  if (kept.trim() !== '') return kept.trim()
  if (!isNew) {
    throw new Error(
      `${path} is missing, and the cluster beside it cannot be opened without it: restore the file, or remove the ` +
        'cluster to start with an empty one, or set DATABASE_URL'
    )
  }
  const password = randomBytes(24).toString('base64url')
  await writeWhole(path, `${password}\n`)
  return password
}

async function createCluster (
  { dataDir, clusterDir, binDir, account, isDurable }: ClusterOptions, password: string
): Promise<void> {
  const stage = await mkdtemp(join(dataDir, stagePrefix))
  const passwordFile = join(stage, 'password')
  const cluster = join(stage, 'cluster')
  try {
    await writeFile(passwordFile, password, { mode: 0o600 })
    if (account !== undefined) for (const path of [passwordFile, stage]) await chown(path, account.uid, account.gid)
    const owner = account === undefined ? {} : { uid: account.uid, gid: account.gid }
    await run(join(binDir, 'initdb'), [
      '-D', cluster, `--username=${superuser}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8',
      // The builtin provider sorts the same on every machine and after every libc upgrade.
      '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C',
      '--no-instructions', ...(isDurable ? [] : ['--no-sync'])
    ], { ...owner, cwd: dataDir, env: toolEnvironment(), timeout: initTimeoutMs }).catch(refuse)
    await rename(cluster, clusterDir).catch((cause: unknown) => {
      throw new Error(
        `${clusterDir} exists but is not a PostgreSQL data folder: move it away, or set DATA_DIR to a different folder`,
        { cause }
      )
    })
    await syncFolder(dataDir)
  } finally {
    await rm(stage, { recursive: true, force: true, maxRetries: 5 })
  }
}

function refuse (error: NodeJS.ErrnoException & { stderr?: string, killed?: boolean }): never {
  const reason = error.killed === true
    ? `it did not finish within ${initTimeoutMs / 1000} s`
    // The file exists, so its loader is missing.
    : error.code === 'ENOENT'
      ? 'its binaries require glibc, which this system does not have'
      : (error.stderr ?? '').trim() || error.message
  throw new Error(`initdb of the embedded PostgreSQL failed (or set DATABASE_URL): ${reason}`, { cause: error })
}

// An initdb may survive its parent and still write here. The next start removes folders that could not be removed now.
async function removeStages (dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(stagePrefix)) {
      await rm(join(dataDir, name), { recursive: true, force: true, maxRetries: 5 }).catch(() => {})
    }
  }
}

async function writeWhole (path: string, text: string): Promise<void> {
  const staged = `${path}.${randomBytes(4).toString('hex')}`
  const file = await open(staged, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(staged, path)
  await syncFolder(join(path, '..'))
}

async function syncFolder (path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function exists (path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false)
}
