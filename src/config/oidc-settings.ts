/** A role that a value of the claim grants: for one application, or everywhere. */
export interface MappedRole { role: string, applicationId: string | null }

/** The identity provider. Timeouts have no variable; tests may set them. */
export interface OidcSettings {
  issuer: string
  clientId: string
  clientSecret: string | undefined
  scopes: string
  roleClaim: string
  /** By value of the claim. */
  roleMap: ReadonlyMap<string, readonly MappedRole[]>
  /** Whether passwords and invites are refused. */
  isOnly: boolean
  /** The URL of this server, without a slash at its end. */
  publicUrl: string
  /** Origins besides that of `publicUrl` whose pages may start a sign-in and receive its code. */
  consoleOrigins: readonly string[]
  /** Time limit of one request to the provider. */
  requestTimeoutMs: number
}

/** The variables that decide about the provider, as they were given. */
export interface OidcVariables {
  issuer: string | undefined
  clientId: string | undefined
  clientSecret: string | undefined
  scopes: string
  roleClaim: string
  roleMap: string | undefined
  isOnly: boolean
  publicUrl: string | undefined
  corsOrigins: readonly string[]
}

const requestTimeoutMs = 10_000
const mapBytesMax = 65_536
const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/** Returns the settings of the identity provider, or undefined without one. Adds what is wrong to `problems`. */
export function oidcSettings (given: OidcVariables, problems: string[]): OidcSettings | undefined {
  const { issuer, clientId, clientSecret, scopes, roleClaim, roleMap, isOnly, publicUrl, corsOrigins } = given
  if (issuer === undefined) {
    const others = { OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret, OIDC_ROLE_MAP: roleMap }
    const set = Object.entries({ ...others, OIDC_ONLY: isOnly || undefined }).filter(([, value]) => value !== undefined)
    if (set.length > 0) problems.push(`OIDC_ISSUER is required with ${set.map(([name]) => name).join(', ')}`)
    return undefined
  }
  requireSafe('OIDC_ISSUER', issuer, problems)
  if (clientId === undefined) problems.push('OIDC_CLIENT_ID is required with OIDC_ISSUER')
  if (roleMap === undefined) problems.push('OIDC_ROLE_MAP is required with OIDC_ISSUER: it decides who may sign in')
  if (publicUrl === undefined) {
    problems.push('PUBLIC_URL is required with OIDC_ISSUER: the provider sends browsers back to it')
  } else requireSafe('PUBLIC_URL', publicUrl, problems)
  if (!scopes.split(' ').includes('openid')) problems.push('OIDC_SCOPES must include openid')
  const mapped = roleMap === undefined ? new Map() : parseRoleMap(roleMap, problems)
  if (isOnly && mapped !== undefined && roleMap !== undefined && !hasSuperAdmin(mapped)) {
    problems.push(
      'OIDC_ROLE_MAP must grant super_admin everywhere to some value with OIDC_ONLY: nobody could manage the ' +
        'platform otherwise'
    )
  }
  return {
    issuer,
    clientId: clientId ?? '',
    clientSecret,
    scopes,
    roleClaim,
    roleMap: mapped ?? new Map(),
    isOnly,
    publicUrl: (publicUrl ?? '').replace(/\/+$/, ''),
    consoleOrigins: corsOrigins.filter(origin => origin !== '*'),
    requestTimeoutMs
  }
}

/** Requires https, except on this machine, because codes and tokens pass through the URL. */
function requireSafe (name: string, text: string, problems: string[]): void {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    problems.push(`${name} must be a URL without a user, a query or a fragment`)
  } else if (url.protocol !== 'https:' && !loopback.test(url.hostname)) {
    problems.push(`${name} must start with https:// (plain http only on this machine) when OIDC_ISSUER is set`)
  }
}

/** Parses `{"admins":{"role":"super_admin"}}`. A value may also grant a list of roles. */
function parseRoleMap (text: string, problems: string[]): Map<string, MappedRole[]> | undefined {
  const wrong = (reason: string) => {
    problems.push(`OIDC_ROLE_MAP ${reason}`)
    return undefined
  }
  if (Buffer.byteLength(text) > mapBytesMax) return wrong(`must have at most ${mapBytesMax} bytes`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return wrong('must be JSON, such as {"admins":{"role":"super_admin"}}')
  }
  if (!isObject(json)) return wrong('must be a JSON object, such as {"admins":{"role":"super_admin"}}')
  const map = new Map<string, MappedRole[]>()
  for (const [value, given] of Object.entries(json)) {
    const grants = [given].flat()
    if (grants.length === 0) return wrong(`must have at least one role for ${JSON.stringify(value)}`)
    const roles = grants.map(toRole)
    if (roles.includes(undefined)) {
      return wrong(
        'must have {"role":"…"} or {"role":"…","applicationId":"app_…"}, or a list of these, for ' +
          JSON.stringify(value)
      )
    }
    map.set(value, roles.filter(role => role !== undefined))
  }
  return map.size === 0 ? wrong('must have at least one value: nobody could sign in otherwise') : map
}

function toRole (given: unknown): MappedRole | undefined {
  if (!isObject(given)) return undefined
  const { role, applicationId = null, ...others } = given
  if (typeof role !== 'string' || role === '' || Object.keys(others).length > 0) return undefined
  if (applicationId === null) return { role, applicationId }
  return typeof applicationId === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(applicationId)
    ? { role, applicationId }
    : undefined
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const hasSuperAdmin = (map: Map<string, MappedRole[]>): boolean =>
  [...map.values()].flat().some(({ role, applicationId }) => role === 'super_admin' && applicationId === null)
