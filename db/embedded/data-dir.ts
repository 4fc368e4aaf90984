import { access, chmod, constants, mkdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { firstClosedTo, ownerOf, type Account } from './account.ts'

const elsewhere = 'set DATA_DIR to a different folder, or set DATABASE_URL'

/**
 * Creates the data folder if it is missing, and returns its real path. Throws if the platform or the server cannot use
 * it.
 */
export async function openDataDir (path: string, account: Account | undefined): Promise<string> {
  await mkdir(path, { recursive: true, mode: account === undefined ? 0o700 : 0o755 }).catch((cause: unknown) => {
    throw new Error(`DATA_DIR ${resolve(path)} cannot be created: ${elsewhere}`, { cause })
  })
  const dataDir = await realpath(path)
  if (account === undefined) {
    await assertOurs(dataDir)
  } else {
    await admit(dataDir, account)
  }
  return dataDir
}

// An earlier start as root or another user leaves a cluster that this user must not use.
async function assertOurs (dataDir: string): Promise<void> {
  const owner = await ownerOf(join(dataDir, 'postgres'))
  const isOurs = owner === undefined || owner === process.geteuid?.()
  const closed = isOurs ? await firstClosedToUs(dataDir) : join(dataDir, 'postgres')
  if (closed === undefined) return
  throw new Error(
    `${closed} is not accessible to uid ${process.geteuid?.()}; it belongs to uid ` +
      `${await ownerOf(closed) ?? 'unknown'} (did the platform run as another user before?): ` +
      `run as that user, or change the owner of DATA_DIR, or ${elsewhere}`
  )
}

async function firstClosedToUs (dataDir: string): Promise<string | undefined> {
  const readWrite = constants.R_OK | constants.W_OK
  if (!await isOpen(dataDir, readWrite | constants.X_OK)) return dataDir
  for (const file of ['postgres-password', 'postgres.log'].map((name) => join(dataDir, name))) {
    if (!await isOpen(file, readWrite)) return file
  }
}

async function isOpen (path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(() => true, (error: NodeJS.ErrnoException) => error.code === 'ENOENT')
}

async function admit (dataDir: string, account: Account): Promise<void> {
  const parents: string[] = []
  for (let path = dataDir; path !== dirname(path); path = dirname(path)) parents.unshift(dirname(path))
  const closed = await firstClosedTo(account, parents)
  if (closed !== undefined) {
    throw new Error(
      `PostgreSQL refuses to run as root and must run as user "${account.name}", who may not enter ${closed} ` +
        `(on the way to DATA_DIR ${dataDir}): ${elsewhere}`
    )
  }
  // The folder belongs to the platform. The server may pass through it, but not list its files.
  if (await firstClosedTo(account, [dataDir]) !== undefined) await chmod(dataDir, (await stat(dataDir)).mode | 0o001)
}
