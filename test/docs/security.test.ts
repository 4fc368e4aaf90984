import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createConfig, type Config } from '../../src/config.ts'
import { EnvironmentVariables } from '../../src/config/environment-variables.ts'
import { apiKeysPerApplicationMax } from '../../src/identity/auth/api-key-admin.ts'
import { filterBytesMax } from '../../src/delivery/matching/filter.ts'
import { messageFragmentsMax } from '../../src/delivery/sockets/message-limit.ts'
import { jsonBytesMax, jsonDepthMax } from '../../src/foundation/json.ts'
import { testKey } from '../support/build.ts'
import { read, root } from '../support/repository.ts'
import { generatedPart, table } from './generated.ts'

const text = read('docs/SECURITY.md')
const sectionOf = (heading: string) =>
  new RegExp(`^## ${heading}\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(text)?.[1] ?? ''
const rowsOf = (part: string) =>
  [...part.matchAll(/^\| (?!threat |---|asset )(.*) \|$/gm)].map(([, row = '']) => row.split(' | '))

t.test('every threat names a mitigation and an existing test', async t => {
  const rows = rowsOf(sectionOf('Threats'))
  t.ok(rows.length > 40, `${rows.length} threats`)
  for (const [threat = '', done = '', tests = ''] of rows) {
    t.ok(done.length > 10, threat)
    const paths = [...tests.matchAll(/\]\(\.\.\/(test\/[^)]+\.test\.ts)\)/g)].map(([, path = '']) => path)
    t.ok(paths.length > 0, `${threat}: names a test`)
    for (const path of paths) t.ok(existsSync(join(root, path)), `${threat}: ${path}`)
  }
})

t.test('docs/SECURITY.md has every section', async t => {
  for (const heading of ['Assets', 'Actors', 'Trust boundaries', 'Threats', 'Limits', 'Out of scope']) {
    t.ok(sectionOf(heading).length > 100, heading)
  }
  for (
    const section of [
      'Tenancy', 'Tokens', 'Sessions, passwords and setup', 'Server-side requests (SSRF)',
      'Schemas, mappings and filters of tenants', 'Sockets', 'Resource exhaustion',
      'Secrets and information disclosure', 'Supply chain'
    ]
  ) {
    t.ok(text.includes(`\n### ${section}\n`), section)
  }
})

const variables = EnvironmentVariables.properties as Record<string, { default?: unknown }>
const config: Config = createConfig({ DATABASE_URL: 'postgres://a@b/c', ENCRYPTION_KEY: testKey })
const { http, delivery, webhooks } = config
const number = (value: number) => value.toLocaleString('en')
const limited = (value: number) => value === 0 ? 'none' : number(value)
const bytes = (value: number) => value % 1024 ** 2 === 0 ? `${value / 1024 ** 2} MiB` : `${value / 1024} KiB`
const by = (name: string) => { if (!(name in variables)) throw new Error(`no variable ${name}`); return `\`${name}\`` }

/** The limit, its value, its variable, the result beyond it, and its test. */
const limits: [string, string, string, string, string][] = [
  [
    'requests a minute and principal, or address without a principal',
    limited(http.rateLimitMax),
    by('RATE_LIMIT_MAX'),
    '429, `Retry-After`',
    'test/foundation/observability/health.test.ts'
  ],
  [
    'requests a minute and application',
    limited(http.rateLimitApplicationMax),
    by('RATE_LIMIT_APPLICATION_MAX'),
    '429, `Retry-After`',
    'test/foundation/limits/limits.test.ts'
  ],
  [
    'refused credentials a minute and address',
    limited(http.rateLimitUnauthorizedMax),
    by('RATE_LIMIT_UNAUTHORIZED_MAX'),
    '429, `Retry-After`; sockets 4429',
    'test/foundation/limits/limits.test.ts'
  ],
  [
    'connections of an address',
    limited(http.connectionsPerAddressMax),
    by('CONNECTIONS_PER_ADDRESS_MAX'),
    '429 `CONNECTION_LIMIT`',
    'test/foundation/limits/limits.test.ts'
  ],
  [
    'sockets of an application',
    limited(delivery.connectionsPerApplicationMax),
    by('CONNECTIONS_PER_APPLICATION_MAX'),
    '`CONNECTION_LIMIT`; 4429',
    'test/foundation/limits/limits.test.ts'
  ],
  [
    'subscriptions of a socket',
    number(delivery.subscriptionsPerConnectionMax),
    by('SUBSCRIPTIONS_PER_CONNECTION_MAX'),
    '`SUBSCRIPTION_LIMIT`',
    'test/delivery/limits.test.ts'
  ],
  [
    'subscriptions of an application at a node',
    number(delivery.subscriptionsPerApplicationMax),
    by('SUBSCRIPTIONS_PER_APPLICATION_MAX'),
    '`SUBSCRIPTION_LIMIT`',
    'test/delivery/limits.test.ts'
  ],
  ['a filter', `${bytes(filterBytesMax)}`, '', '400', 'test/delivery/matching/filter.test.ts'],
  [
    'requests of a socket a second, and in a burst',
    `${number(delivery.requestsPerSecond)}, ${number(delivery.requestsBurst)}`,
    '',
    '`RATE_LIMITED`, then 4429',
    'test/delivery/limits.test.ts'
  ],
  [
    'bytes from a socket a second, and in a burst',
    `${bytes(delivery.bytesPerSecond)}, ${bytes(delivery.bytesBurst)}`,
    '',
    '`RATE_LIMITED`, then 4429',
    'test/delivery/limits.test.ts'
  ],
  [
    'bytes of past events to a socket a second, and in a burst',
    `${bytes(delivery.pastBytesPerSecond)}, ${bytes(delivery.pastBytesBurst)}`,
    '',
    'the rest waits',
    'test/delivery/sockets/floods.test.ts'
  ],
  [
    'waiting bytes of a socket, and of all sockets',
    `${bytes(delivery.socketBufferBytesMax)}, ${bytes(delivery.bufferedBytesMax)}`,
    '',
    '`resync`, then 4408',
    'test/delivery/limits.test.ts'
  ],
  [
    'bytes of unfinished messages of all sockets', 'as for bodies in progress, counted apart',
    by('REQUEST_BODIES_BYTES_MAX'), 'sockets of the application with the most are closed with 1013',
    'test/delivery/sockets/unfinished.test.ts'
  ],
  [
    'a frame; one of a client that is not authenticated',
    `${bytes(delivery.frameBytesMax)}; ${bytes(delivery.unauthenticatedFrameBytesMax)}`,
    '',
    '1009; 413 for long polling',
    'test/delivery/sockets/floods.test.ts'
  ],
  ['fragments of a message', number(messageFragmentsMax), '', '1008', 'test/delivery/sockets/floods.test.ts'],
  [
    'packets of a long-polling request; before authentication in all of them',
    `${number(delivery.packetsPerPostMax)}; ${number(delivery.unauthenticatedPacketsMax)}`,
    '',
    'the connection is closed',
    'test/delivery/sockets/floods.test.ts'
  ],
  ["a request's line and headers", '16 KiB', '', '431', 'test/foundation/limits/limits.test.ts'],
  [
    'a body; a body of a publish; a body without a credential', '1 MiB; 8 MiB; 16 KiB', '', '413',
    'test/foundation/observability/memory.test.ts'
  ],
  [
    'bodies in progress at a node',
    'a sixteenth of the heap, at most 128 MiB',
    by('REQUEST_BODIES_BYTES_MAX'),
    '503, `Retry-After`',
    'test/foundation/observability/memory.test.ts'
  ],
  [
    'bodies in progress of an application, and of an address without a credential',
    'a half, an eighth of that',
    '',
    '429, `Retry-After`',
    'test/foundation/observability/memory.test.ts'
  ],
  [
    'bytes of subscriptions and states at a node',
    'a quarter of the heap',
    by('HELD_BYTES_MAX'),
    'for the application with the most, disconnected members leave and sockets are closed with 1013; `MEMORY_LIMIT`',
    'test/foundation/observability/memory.test.ts'
  ],
  [
    'bytes of subscriptions and states of an application',
    'half of that',
    by('HELD_BYTES_PER_APPLICATION_MAX'),
    '`MEMORY_LIMIT`',
    'test/foundation/observability/memory.test.ts'
  ],
  [
    'stored JSON, and its depth',
    `${bytes(jsonBytesMax)}, ${jsonDepthMax} levels`,
    '',
    '400',
    'test/foundation/http/hostile-input.test.ts'
  ],
  [
    "time for a request's head, and for the whole request",
    `${http.headersTimeoutMs / 1000} s, ${http.requestTimeoutMs / 1000} s`,
    by('REQUEST_TIMEOUT_MS'),
    '408',
    'test/foundation/limits/limits.test.ts'
  ],
  [
    'memory use before requests are refused',
    "90 % of the heap or of the process's memory; 60 % of it outside of the heap",
    by('MEMORY_BYTES_MAX'),
    '503, `Retry-After`',
    'test/foundation/observability/memory.test.ts'
  ],
  [
    'webhooks of an application',
    number(webhooks.perApplicationMax),
    '',
    '`WEBHOOK_LIMIT`',
    'test/routes/api/webhooks.test.ts'
  ],
  [
    'API keys of an application',
    number(apiKeysPerApplicationMax),
    '',
    '409 `API_KEY_LIMIT`',
    'test/routes/api/api-keys.test.ts'
  ],
  ['signing keys that are not revoked', '50', '', '409 `SIGNING_KEY_LIMIT`', 'test/routes/api/keys.test.ts']
]

t.test('the limits match the code, each with its variable and test', async t => {
  const rows = limits.map((
    [what, value, variable, beyond, test]
  ) => [what, value, variable, beyond, `[${test.split('/').slice(1).join('/')}](../${test})`])
  const { found, wanted } = generatedPart(
    'docs/SECURITY.md', 'limits', table(['limit', 'default', 'variable', 'beyond it', 'test'], rows)
  )
  t.equal(found, wanted, 'bring it into line with UPDATE_DOCS=1')
  for (const [, , , , test] of limits) t.ok(existsSync(join(root, test)), test)
})
