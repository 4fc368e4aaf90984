import t from 'tap'
import { eventSources, eventTypes, RealtimeEvent } from '../../schemas/events.ts'
import { returnModes } from '../../schemas/realtime.ts'
import { socketRequests } from '../../schemas/socket-protocol.ts'
import { defaultDeliveryLimits } from '../../src/config/delivery-limits.ts'
import { createAsyncApiDocument } from '../../src/delivery/asyncapi/document.ts'
import { parseFilter } from '../../src/delivery/matching/filter.ts'
import { closeCodes, closeDescriptions } from '../../src/identity/auth/close-codes.ts'
import { build } from '../support/build.ts'
import { read } from '../support/repository.ts'
import { generatedPart, table } from './generated.ts'

const text = read('docs/PROTOCOL.md')

t.test('docs/PROTOCOL.md has every close code', async t => {
  const rows = Object.values(closeCodes).map((
    { code, reason, reconnect }
  ) => [
    String(code), `\`${reason}\``, closeDescriptions[reason],
    ...reconnect ? ['yes', 'transport close'] : ['no', 'io server disconnect']
  ])
  const { found, wanted } = generatedPart(
    'docs/PROTOCOL.md',
    'close-codes',
    table(['`code`', '`reason`', 'when', '`reconnect`', 'socket.io-client sees'], rows)
  )
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})

t.test('docs/PROTOCOL.md has every request with every field', async t => {
  const { app } = await build(t)
  const described = [...text.matchAll(/^### `(\w+)`$/gm)].map(([, name = '']) => name)
  t.same(described.sort(), [...app.protocol.names].sort())
  const { socketIo, webSocket } = createAsyncApiDocument().channels
  t.same(described, Object.keys(socketRequests).sort(), 'the AsyncAPI document is made from the same table')
  for (const [name, { fields }] of Object.entries(socketRequests)) {
    for (const field of Object.keys(fields.properties)) t.match(text, `\`${field}\``, `${name}.${field}`)
  }
  for (const { name } of [...Object.values(socketIo.messages), ...Object.values(webSocket.messages)]) {
    t.match(text, new RegExp(`\\b${name}\\b`), name)
  }
})

t.test('docs/PROTOCOL.md has every field, type and source of the envelope', async t => {
  for (const field of Object.keys(RealtimeEvent.properties)) t.match(text, `\`${field}\``, field)
  for (const name of [...eventTypes, ...eventSources, ...returnModes]) t.match(text, `\`${name}\``, name)
})

t.test('the limits in docs/PROTOCOL.md are the defaults', async t => {
  t.same(defaultDeliveryLimits, {
    socketBufferBytesMax: 4 * 1024 * 1024,
    drainTimeoutMs: 10_000,
    subscriptionsPerConnectionMax: 1000,
    subscriptionsPerApplicationMax: 250_000,
    patternTopicsMax: 1000,
    connectionsPerApplicationMax: 0,
    patternTopicsPerConnectionMax: 5000,
    channelsPerConnectionMax: 100,
    authTimeoutMs: 5000,
    requestsPerSecond: 100,
    requestsBurst: 200,
    bytesPerSecond: 1024 * 1024,
    bytesBurst: 4 * 1024 * 1024,
    pastBytesPerSecond: 8 * 1024 * 1024,
    pastBytesBurst: 64 * 1024 * 1024,
    overLimitMs: 5000,
    frameBytesMax: 1024 * 1024,
    unauthenticatedFrameBytesMax: 16 * 1024,
    unauthenticatedPacketsMax: 32,
    packetsPerPostMax: 1000,
    pingIntervalMs: 25_000,
    pongTimeoutMs: 20_000,
    closeTimeoutMs: 5000,
    bufferedBytesMax: 512 * 1024 * 1024,
    arrivingBytesMax: 128 * 1024 * 1024,
    heldBytesMax: 512 * 1024 * 1024,
    heldBytesPerApplicationMax: 256 * 1024 * 1024
  })
  for (
    const limit of [
      '4 MiB',
      '10 s',
      '1,000 (`SUBSCRIPTIONS_PER_CONNECTION_MAX`) and 250,000',
      '8 KiB',
      '5 s',
      '1,000 and 5,000',
      '100 a second',
      '25 s',
      '20 s',
      '512 MiB',
      '64 MiB of them at once and then 8 MiB a second',
      '1,000 members and 512 KiB'
    ]
  ) t.match(text.replaceAll(/\s+/g, ' '), limit)
})

t.test('the filter examples in docs/PROTOCOL.md are valid', async t => {
  const block = /<!-- filters -->\n```json\n([\s\S]*?)\n```/.exec(text)?.[1] ?? ''
  const examples = block.split('\n')
  t.ok(examples.length > 5)
  for (const example of examples) t.ok(parseFilter(JSON.parse(example) as Record<string, unknown>), example)
})
