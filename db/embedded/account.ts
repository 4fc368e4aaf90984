import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'

/** The account that the server runs as. */
export interface Account {
  name: string
  uid: number
  gid: number
}

/**
 * Returns the account for the server, or undefined if it runs as the current user. PostgreSQL refuses to run as root:
 * then it runs as the owner of the cluster, otherwise as `postgres`, otherwise as `nobody`.
 */
export async function serverAccount (clusterDir: string): Promise<Account | undefined> {
  if (process.geteuid?.() !== 0) {
    assertNamed()
    return undefined
  }
  const accounts = parsePasswd(await readFile('/etc/passwd', 'utf8').catch(() => ''))
  const owner = await ownerOf(clusterDir)
  const account = owner === undefined || owner === 0
    ? accounts.find(({ name }) => name === 'postgres') ?? accounts.find(({ name }) => name === 'nobody')
    : accounts.find(({ uid }) => uid === owner)
  if (account !== undefined) return account
  throw new Error(
    owner === undefined || owner === 0
      ? 'PostgreSQL refuses to run as root, and /etc/passwd names neither "postgres" nor "nobody": run as an ' +
          'ordinary user, or set DATABASE_URL'
      : `${clusterDir} belongs to uid ${owner}, which /etc/passwd does not name: set DATA_DIR to a different folder, ` +
          'or set DATABASE_URL'
  )
}

/** Returns the first path that the account may not enter (a folder) or execute (a file), as decided by the kernel. */
export async function firstClosedTo (account: Account, paths: string[]): Promise<string | undefined> {
  const script = 'for path; do test -x "$path" || { printf %s "$path"; exit 1; }; done'
  return await new Promise((resolve, reject) => {
    const { uid, gid, name } = account
    execFile('/bin/sh', ['-c', script, 'sh', ...paths], { uid, gid, cwd: '/', timeout: 5000 }, (error, stdout) => {
      if (error === null) resolve(undefined)
      else if (stdout !== '') resolve(stdout)
      else {
        reject(
          new Error(`no process can run as user "${name}": run as an ordinary user, or set DATABASE_URL`, {
            cause: error
          })
        )
      }
    })
  })
}

function assertNamed (): void {
  try {
    userInfo()
  } catch (cause) {
    throw new Error(
      `PostgreSQL cannot run as uid ${process.geteuid?.()}, which has no entry in /etc/passwd: set DATABASE_URL`,
      { cause }
    )
  }
}

function parsePasswd (text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid = '', gid = ''] = line.split(':')
    return /^\d+$/.test(uid) && /^\d+$/.test(gid) && uid !== '0' ? [{ name, uid: Number(uid), gid: Number(gid) }] : []
  })
}

/** Returns the uid that owns a path, or undefined if it does not exist. */
export async function ownerOf (path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.uid
}
