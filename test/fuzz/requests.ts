import { toText, Values, type Pools } from '../support/fuzz-values.ts'
import type { Operation, Parameter } from '../support/openapi-document.ts'
import { Random } from '../support/random.ts'

/** The callers, and the resources that they can name. */
export interface World {
  /** Values of `Authorization`, by caller. */
  credentials: Record<Asker, readonly string[]>
  applicationId: string
  pools: Pools
}
export type Asker = 'session' | 'token' | 'nobody'

export interface Request {
  asker: Asker
  method: string
  /** The request target as sent, with escapes. */
  target: string
  headers: Record<string, string>
  body: Buffer | string | undefined
  /** Whether the request reaches its operation. Otherwise it must only be rejected. */
  isRouted: boolean
}

/** Paths that no URL parser would accept. Those that are not one segment match no route. */
const rawSegments = [
  '%00', 'a%00b', '%F0%9F%92%A9', '..%2f..', '%2e%2e', '%20', '-1', '0', '1.5', '1e400', '__proto__', 'constructor',
  'a%0d%0ax:1', '%EF%BB%BF', 'a;b=c', 'a+b', 'x'.repeat(2000)
]
const misleading = [
  '',
  '.',
  '..',
  '%zz',
  '%',
  '%2',
  '%ff',
  '%c3%28',
  '%ED%A0%80',
  '%u0041',
  'a/b',
  'a/../b',
  '//',
  'a?b',
  'x'.repeat(20_000)
]
const rawQueries = [
  '&&&',
  '=',
  '=&=',
  '%zz=1',
  '%',
  'a[b][c]=1',
  'a=1&a=2',
  '__proto__[x]=1',
  'constructor=1',
  '?',
  '%00=%00',
  Array.from({ length: 500 }, (_, i) => `p${i}=1`).join('&')
]
const contentTypes = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/xml',
  'application/json; charset=utf-16',
  'application/merge-patch+json',
  'APPLICATION/JSON',
  'application/jsonx',
  'json',
  '',
  ';',
  `application/${'x'.repeat(1000)}`
]
const oddHeaders = [
  '', ' ', 'x', '0', '-1', '"', '"1"', 'W/"1"', '"1", "2"', '*', '"99999999999999999999"', '\u00ff', '\u00c3\u00a9',
  '__proto__', 'x'.repeat(300), 'x'.repeat(5000), 'a,b', 'moon', 'DEVELOPMENT', 'app_nobody', '1e400',
  '9007199254740993'
]
const oddCredentials = [
  'Bearer',
  'Bearer ',
  'Bearer x.y.z',
  'Basic YTpi',
  'sess_',
  'sess_x',
  'sess_\u00ff',
  `Bearer ${'a.'.repeat(2000)}`,
  'Bearer eyJhbGciOiJub25lIn0.e30.',
  'Bearer e30.e30.e30',
  'Bearer rtk_',
  `Bearer rtk_${'x'.repeat(49)}`,
  'x'.repeat(7000)
]
const brokenBodies = [
  '',
  ' ',
  '{',
  '{"a":',
  '[',
  '[]',
  'null',
  '1',
  '"text"',
  'true',
  '{}{}',
  '{"a":1,}',
  '{"a":NaN}',
  "{'a':1}",
  '\ufeff{}',
  '\0\0',
  '{"__proto__":{"a":1}}',
  '{"a":1e400}',
  '['.repeat(100_000),
  '{"a":'.repeat(50_000),
  '// x\n{}',
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  Buffer.from([0x22, 0xe2, 0x82]),
  Buffer.from([0x22, 0xc0, 0xaf, 0x22]),
  Buffer.from('{"a":1}', 'utf16le')
]

/** Makes a request for an operation, valid or with a few changes. The same seed and world make the same request. */
export function makeRequest (operation: Operation, asker: Asker, world: World, seed: number): Request {
  return new RequestMaker(operation, asker, world, new Random(seed)).make()
}

class RequestMaker {
  readonly #operation: Operation
  readonly #asker: Asker
  readonly #world: World
  readonly #random: Random
  readonly #values: Values
  #isRouted = true

  constructor (operation: Operation, asker: Asker, world: World, random: Random) {
    this.#operation = operation
    this.#asker = asker
    this.#world = world
    this.#random = random
    this.#values = new Values(random, world.pools)
  }

  make (): Request {
    const random = this.#random
    const { body: schema } = this.#operation
    const path: Record<string, string> = {}
    const query: [string, string][] = []
    const headers: Record<string, string> = this.#credential()
    for (const parameter of this.#operation.parameters) {
      const { in: place, name } = parameter
      if (place === 'path') path[name] = encodeURIComponent(String(this.#goodParameter(parameter))) || '-'
      else if (place === 'query' && random.chance(0.25)) {
        query.push([name, encodeURIComponent(String(this.#goodParameter(parameter)))])
      } else if (name === 'x-application-id' && this.#asker === 'session') headers[name] = this.#world.applicationId
      else if (place === 'header' && random.chance(0.15)) {
        headers[name] = asHeader(String(this.#goodParameter(parameter)))
      }
    }
    let value = schema === undefined ? undefined : this.#values.good(schema)
    let body: Buffer | string | undefined
    let method = this.#operation.method
    const changes = random.chance(0.25) ? 0 : 1 + random.below(3)
    for (let i = 0; i < changes; i++) {
      const kind = random.next()
      if (schema !== undefined && kind < 0.5) value = this.#values.changed(value, schema)
      else if (kind < 0.6) this.#changePath(path)
      else if (kind < 0.75) this.#changeQuery(query)
      else if (kind < 0.9) this.#changeHeader(headers)
      else if (kind < 0.97) body = this.#brokenBody(value)
      else if (kind < 0.985) headers['content-type'] = random.pick(contentTypes)
      else if (kind < 0.995) {
        method = random.pick(['HEAD', 'OPTIONS', 'TRACE', 'PUT', 'PATCH', 'DELETE', 'QUERY'])
        this.#isRouted &&= method === this.#operation.method
      } else body = `{"payload":"${'x'.repeat(random.pick([1_100_000, 9_000_000]))}"}`
    }
    body ??= value === undefined ? undefined : toText(value)
    if (body !== undefined) headers['content-type'] ??= 'application/json'
    const text = query.map(([name, one]) => name === '' ? one : `${name}=${one}`).join('&')
    const target = this.#operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => path[name] ?? '') +
      (text === '' ? '' : `?${text}`)
    // A head longer than the server's limit makes no request.
    if (target.length + Object.values(headers).join('').length > 12_000) this.#isRouted = false
    return { asker: this.#asker, method, target, headers, body, isRouted: this.#isRouted }
  }

  #credential (): Record<string, string> {
    const known = this.#world.credentials[this.#asker]
    if (known.length === 0) return this.#random.chance(0.5) ? {} : { authorization: this.#random.pick(oddCredentials) }
    const credential = this.#random.pick(known)
    return credential.startsWith('sess_') && this.#random.chance(0.2)
      ? { 'x-session-token': credential }
      : { authorization: credential }
  }

  #goodParameter ({ name, schema, example }: Parameter): unknown {
    // The type of an id follows from the path segment before it.
    const section = this.#operation.path.split('/').at(-1) === `{${name}}`
      ? this.#operation.path.split('/').at(-2)
      : this.#operation.path.split(`/{${name}}`, 1)[0]?.split('/').at(-1)
    const pool = this.#world.pools[name === 'id' ? `${section}Id` : name]
    if (pool !== undefined && pool.length > 0 && this.#random.chance(0.85)) return this.#random.pick(pool)
    return example !== undefined && this.#random.chance(0.3) ? example : this.#values.good(schema)
  }

  #changePath (path: Record<string, string>): void {
    const names = Object.keys(path)
    if (names.length === 0) return
    const name = this.#random.pick(names)
    const kind = this.#random.next()
    if (kind < 0.5) path[name] = escapeAll(this.#values.oddText().replaceAll('/', '') || '-')
    else if (kind < 0.85) path[name] = this.#random.pick(rawSegments)
    else {
      path[name] = this.#random.pick(misleading)
      this.#isRouted = false
    }
  }

  #changeQuery (query: [string, string][]): void {
    const declared = this.#operation.parameters.filter(parameter => parameter.in === 'query')
    if (declared.length === 0 || this.#random.chance(0.15)) {
      query.push(['', this.#random.pick(rawQueries)])
      return
    }
    const { name, schema } = this.#random.pick(declared)
    const kind = this.#random.next()
    if (kind < 0.4) query.push([name, escapeAll(this.#values.oddText())])
    else if (kind < 0.7) query.push([name, escapeAll(String(this.#values.bound(schema) ?? ''))])
    else if (kind < 0.8) query.push([name, '1'], [name, '2'])
    else if (kind < 0.9) query.push([`${name}[]`, '1'], [`${name}[a]`, '2'])
    else query.push([this.#random.pick(['nobodyKnowsThis', '__proto__', 'constructor', name.toUpperCase()]), '1'])
  }

  #changeHeader (headers: Record<string, string>): void {
    const declared = this.#operation.parameters.filter(parameter => parameter.in === 'header').map(parameter =>
      parameter.name
    )
    const name = this.#random.pick([
      ...declared,
      ...declared,
      'x-request-id',
      'accept',
      'origin',
      'x-environment',
      'x-session-token',
      'accept-encoding',
      'range',
      'x-http-method-override',
      'cookie',
      'last-event-id',
      'if-match',
      'idempotency-key'
    ])
    headers[name] = this.#random.chance(0.3)
      ? asHeader(this.#values.oddText()).slice(0, 5000)
      : this.#random.pick(oddHeaders)
  }

  #brokenBody (value: unknown): Buffer | string {
    if (value === undefined || this.#random.chance(0.5)) return this.#random.pick(brokenBodies)
    const text = toText(value)
    const at = this.#random.below(text.length)
    if (this.#random.chance(0.4)) return text.slice(0, at)
    const bytes = Buffer.from(text)
    bytes[this.#random.below(bytes.length)] = this.#random.below(256)
    return bytes
  }
}

/** Returns bytes that a header may carry, as Latin-1. */
const asHeader = (text: string) => Buffer.from(text).toString('latin1').replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '')

/** Unlike encodeURIComponent, it accepts lone surrogates and leaves no character with a meaning in a URL. */
const escapeAll = (text: string) =>
  [...Buffer.from(text)].map(byte =>
    /[\w.~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`
  ).join('')
