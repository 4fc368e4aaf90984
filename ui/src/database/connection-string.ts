/* A connection string in parts, so that the password has a field of its own. */

export const tlsModes = ['disable', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof tlsModes)[number]

export interface ConnectionFields {
  host: string
  port: string
  database: string
  user: string
  password: string
  tls: TlsMode
}

export const noFields: ConnectionFields = {
  host: '',
  port: '5432',
  database: '',
  user: '',
  password: '',
  tls: 'disable'
}

/** Returns the parts of a connection string, or undefined for a text that is not one. */
export function toFields (text: string): ConnectionFields | undefined {
  if (!/^postgres(ql)?:\/\//.test(text.trim())) return undefined
  try {
    const url = new URL(text.trim())
    const mode = url.searchParams.get('sslmode')
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? '5432' : url.port,
      database: decodeURIComponent(url.pathname.slice(1)),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      tls:
        tlsModes.find(known => known === mode) ?? (mode === 'prefer' || mode === 'no-verify' ? 'require' : 'disable')
    }
  } catch {
    return undefined
  }
}

export function toConnectionString ({ host, port, database, user, password, tls }: ConnectionFields): string {
  const address = host.includes(':') ? `[${host}]` : host.trim()
  const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  const mode = tls === 'disable' ? '' : `?sslmode=${tls}`
  return `postgres://${credentials}@${address}:${port.trim()}/${encodeURIComponent(database)}${mode}`
}

/** The connection string for people and commands: the password stays out of it. */
export const withoutPassword = (fields: ConnectionFields): string =>
  toConnectionString({ ...fields, password: 'PASSWORD' })
