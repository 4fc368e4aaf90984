import { randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspectProcess } from './processes.ts'

export interface DataDirLock {
  /** Releases the data folder. Does nothing if another process holds the lock by now. */
  release (): Promise<void>
}

interface Holder {
  pid: number
  startedAt: string
  nonce: string
}

/**
 * Locks the data folder for this process until `release` or the end of the process. Takes over the lock of a dead
 * process, even if its pid is in use again. Throws when the holder is alive. It does not see into other containers: two
 * containers on one volume cannot be told apart.
 */
export async function lockDataDir (dataDir: string): Promise<DataDirLock> {
  const path = join(dataDir, 'postgres.lock')
  const own = JSON.stringify(await ourselves())
  const staged = `${path}.${randomBytes(4).toString('hex')}`
  await writeFile(staged, own, { mode: 0o644 })
  try {
    // Repeats only when several processes start at once.
    for (let round = 0; round < 10; round++) {
      if (await takes(staged, path)) return { release: async () => { await remove(path, own) } }
      const held = await textOf(path)
      if (held === undefined) continue
      const holder = parse(held)
      if (holder !== undefined && (await inspectProcess(holder.pid))?.startedAt === holder.startedAt) {
        throw new Error(
          `another platform process (pid ${holder.pid}) uses DATA_DIR ${dataDir}: stop it, or set DATA_DIR to ` +
            'another folder'
        )
      }
      await remove(path, held)
    }
    throw new Error(`the lock file ${path} could not be created`)
  } finally {
    await rm(staged, { force: true })
  }
}

async function ourselves (): Promise<Holder> {
  const facts = await inspectProcess(process.pid)
  return { pid: process.pid, startedAt: facts?.startedAt ?? 'unknown', nonce: randomBytes(8).toString('hex') }
}

// A link appears with its whole content at once, so no process reads a partial lock.
async function takes (staged: string, path: string): Promise<boolean> {
  return await link(staged, path).then(() => true, (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return false
    throw error
  })
}

// Two processes may find the same dead lock. Each checks what it moved aside, so that neither removes the other's new
// lock.
async function remove (path: string, expected: string): Promise<void> {
  if (await textOf(path) !== expected) return
  const aside = `${path}.${randomBytes(4).toString('hex')}`
  if (!await rename(path, aside).then(() => true, () => false)) return
  if (await textOf(aside) !== expected) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}

function parse (text: string): Holder | undefined {
  try {
    return JSON.parse(text) as Holder
  } catch {
    return undefined
  }
}

async function textOf (path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}
