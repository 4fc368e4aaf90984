import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createAdminClient, type AdminClient } from '../admin/index.ts'
import type { Environment } from '../protocol/protocol.ts'
import { text, UsageError, type Values } from './command.ts'

/** A server, with a credential for it. */
export interface Profile { url: string, token: string, applicationId?: string, environment?: Environment }
interface ConfigFile { profiles: Record<string, Profile> }

export const environments = ['development', 'staging', 'production'] as const

export const configPath = (): string =>
  join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'realtime-platform', 'config.json')

export const profileName = (values: Values): string => text(values['profile']) ?? 'default'

export async function readProfile (name: string): Promise<Profile | undefined> {
  const { profiles } = await readConfig()
  return Object.hasOwn(profiles, name) ? profiles[name] : undefined
}

/** Stores a profile, or deletes it. Only the user may read the file. */
export async function writeProfile (name: string, profile: Profile | undefined): Promise<void> {
  const { profiles: { [name]: _, ...others } } = await readConfig()
  const path = configPath()
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const profiles = { ...others, ...(profile !== undefined && { [name]: profile }) }
  await writeAtomically(path, `${JSON.stringify({ profiles }, null, 2)}\n`, 0o600)
}

/** Writes a file beside its place and moves it there, so that nobody reads half of it. */
export async function writeAtomically (path: string, content: string, mode?: number): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await writeFile(temporary, content, { mode })
  // The mask of the process does not apply to it.
  if (mode !== undefined) await chmod(temporary, mode)
  await rename(temporary, path)
}

/**
 * Returns the server and the credential of a command: options, then `REALTIME_…` variables, then the profile. Without a
 * url or a token, throws UsageError.
 */
export async function settings (values: Values): Promise<Profile> {
  const { env } = process
  const name = profileName(values)
  const stored = await readProfile(name)
  if (stored === undefined && text(values['profile']) !== undefined) {
    throw new UsageError(`There is no profile "${name}". Run "realtime-platform login --profile ${name}"`)
  }
  const url = text(values['url']) || env['REALTIME_URL'] || stored?.url
  if (url === undefined) {
    throw new UsageError('No server is set. Run "realtime-platform login", or set REALTIME_URL and REALTIME_TOKEN')
  }
  // A stored credential is for its server only.
  const own = stored !== undefined && normalized(url) === normalized(stored.url) ? stored : undefined
  const token = env['REALTIME_TOKEN'] || own?.token
  if (token === undefined) {
    throw new UsageError(`No credential for ${normalized(url)}. Run "realtime-platform login", or set REALTIME_TOKEN`)
  }
  // A credential of its own may be for another application.
  const rest = token === own?.token ? own : undefined
  const applicationId = text(values['application']) || env['REALTIME_APPLICATION'] || rest?.applicationId
  const environment = checkEnvironment(
    text(values['environment']) || env['REALTIME_ENVIRONMENT'] || rest?.environment
  )
  return {
    url: normalized(url), token,
    ...(applicationId !== undefined && { applicationId }), ...(environment !== undefined && { environment })
  }
}

export const adminOf = ({ url, token, applicationId, environment }: Profile): AdminClient => createAdminClient({
  url, token, retries: 3, retryAfterMaxMs: 10_000,
  ...(applicationId !== undefined && { applicationId }), ...(environment !== undefined && { environment })
})

export function checkEnvironment (name: string | undefined): Environment | undefined {
  if (name === undefined) return undefined
  const found = environments.find(environment => environment === name)
  if (found === undefined) throw new UsageError(`The environment is ${environments.join(', ')}, not "${name}"`)
  return found
}

/** Returns the URL of a server without a trailing slash. Throws UsageError. */
export function normalized (url: string): string {
  const candidate = /^\w+:\/\//.test(url) ? url : `https://${url}`
  if (!URL.canParse(candidate) || !/^(?:https?|wss?):/.test(candidate)) {
    throw new UsageError(`"${url}" is not the URL of a server. Example: https://realtime.example.com`)
  }
  return new URL(candidate).href.replace(/^ws/, 'http').replace(/\/$/, '')
}

async function readConfig (): Promise<ConfigFile> {
  const path = configPath()
  let content
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { profiles: {} }
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`)
  }
  try {
    const { profiles } = JSON.parse(content) as Partial<ConfigFile>
    if (typeof profiles === 'object' && profiles !== null) return { profiles }
  } catch {}
  throw new UsageError(`${path} is damaged. Delete it, and run "realtime-platform login"`)
}
