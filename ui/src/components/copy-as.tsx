import { ClipboardCopy } from 'lucide-react'
import { scopeKey, type Scope } from '../app/api.ts'
import { useScope } from '../app/scope.ts'
import { IconButton } from './button.tsx'
import { Menu, MenuItem, MenuLabel } from './menu.tsx'
import { showToast } from './toast.tsx'

/** A request of the REST API, to be shown as a command or as code. Path parameters are filled in. */
export interface Request {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** The path as in the OpenAPI document: `/api/topics/{name}`. */
  path: string
  params?: Record<string, string>
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  /** Headers beside those of every request. */
  headers?: Record<string, string>
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function urlOf ({ path, params = {}, query = {} }: Request): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
  const search = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  )
  return `${filled}${search.size === 0 ? '' : `?${search}`}`
}

/** The request for a shell. The credential stays out of it: `$TOKEN` stands for it. */
export function toCurl (request: Request, scope: Scope | null): string {
  const { method, body, headers = {} } = request
  return [
    `curl${method === 'GET' ? '' : ` -X ${method}`} ${quoted(location.origin + urlOf(request))}`,
    '-H "authorization: Bearer $TOKEN"',
    ...(scope === null
      ? []
      : [`-H 'x-application-id: ${scope.applicationId}'`, `-H 'x-environment: ${scope.environment}'`]),
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : ["-H 'content-type: application/json'", `-d ${quoted(JSON.stringify(body))}`])
  ].join(' \\\n  ')
}

/** The request with the admin client of the library. */
export function toClientCode ({ method, path, params, query, body }: Request, scope: Scope | null): string {
  const given = Object.fromEntries(Object.entries(query ?? {}).filter(([, value]) => value !== undefined))
  const init = {
    ...((params !== undefined || Object.keys(given).length > 0) && {
      params: {
        ...(params !== undefined && { path: params }),
        ...(Object.keys(given).length > 0 && { query: given })
      }
    }),
    ...(body !== undefined && { body })
  }
  const place = scope === null
    ? ''
    : `,\n  applicationId: '${scope.applicationId}', environment: '${scope.environment}'`
  const hasInit = Object.keys(init).length > 0
  return [
    "import { createAdminClient, unwrap } from '@realtime-platform/client/admin'",
    '',
    'const admin = createAdminClient({',
    `  url: '${location.origin}', token: process.env.TOKEN${place}`,
    '})',
    `const result = await unwrap(admin.${method}('${path}'${hasInit ? `, ${JSON.stringify(init, null, 2)}` : ''}))`
  ].join('\n')
}

/** Copies a request as curl or as code of the client library. It stands beside the action that makes the request. */
export function CopyAs ({
  request,
  code
}: {
  request: Request
  /** Code of the client library, where there is something better than the REST call. */
  code?: string
}) {
  const scope = useScope()
  const copy = (text: string, what: string) => {
    void navigator.clipboard.writeText(text).then(() => showToast({ text: `Copied as ${what}` }))
  }
  return (
    <Menu key={scopeKey(scope)} trigger={<IconButton label='Copy as code' icon={<ClipboardCopy size={15} />} />}>
      <MenuLabel>Copy this request as</MenuLabel>
      <MenuItem onSelect={() => copy(toCurl(request, scope), 'curl')}>curl</MenuItem>
      <MenuItem onSelect={() => copy(code ?? toClientCode(request, scope), 'client code')}>Client library</MenuItem>
    </Menu>
  )
}
