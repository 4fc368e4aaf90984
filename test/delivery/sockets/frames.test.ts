import type { Socket } from 'node:net'
import t from 'tap'
import {
  encodeFrames, endingOf, sharedPart, socketIoWrapping, wsWrapping, type EventWrapping
} from '../../../src/delivery/sockets/frames.ts'
import { LoggedEvent } from '../../../src/events/envelope.ts'
import { build, listen } from '../../support/build.ts'
import { transports } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'

const event = (payload: unknown) => new LoggedEvent({ applicationId: 'app_a', environment: 'development' }, {
  topic: 'a.b', type: 'topic.event', source: 'api', key: 'ä"\\', payload: JSON.stringify(payload), schemaVersion: null
}, { id: 'evt_1', offset: 1, epoch: 'e', timestamp: 1 })

/** Parses a run of unmasked, unfragmented text frames (RFC 6455 §5.2). */
function texts (bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== 0x81) throw new Error(`not a final text frame at ${at}`)
    let length = bytes[at + 1] ?? 0
    at += 2
    if (length === 126) {
      length = bytes.readUInt16BE(at)
      at += 2
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at))
      at += 8
    }
    found.push(bytes.toString('utf8', at, at + length))
    at += length
  }
  return found
}

t.test('a run of events is encoded as whole frames, whatever their length', async t => {
  const payloads = [1, 'ü'.repeat(10), 'x'.repeat(125), 'x'.repeat(65_000), 'x'.repeat(70_000), { deep: [null, true] }]
  const decode: [EventWrapping, (text: string) => unknown][] = [
    [wsWrapping, text => (JSON.parse(text) as { data: unknown }).data],
    [socketIoWrapping, text => (JSON.parse(text.slice(2)) as unknown[])[1]]
  ]
  for (const [wrapping, toData] of decode) {
    const run = payloads.map((payload, i) => ({
      event: event(payload),
      shape: 'full' as const,
      ending: endingOf([`sub_${i}`], wrapping)
    }))
    const pieces = encodeFrames(run, wrapping)
    t.same(
      texts(Buffer.concat(pieces)).map(toData),
      payloads.map((payload, i) => ({ ...event(payload).toEvent(), subscriptionIds: [`sub_${i}`] }))
    )
    const shared = run.map(({ event, shape }) => sharedPart(event, shape, wrapping)).filter(({ length }) =>
      length >= 512
    )
    t.same(shared.map(part => pieces.includes(part)), [true, true], 'the long parts are not copied')
  }
})

t.test('the shared part of an event is encoded once for all sockets', async t => {
  const one = event({ n: 1 })
  const run = [{ event: one, shape: 'full' as const, ending: endingOf(['sub_a'], wsWrapping) }]
  encodeFrames(run, wsWrapping)
  const [before] = one.encoded.values()
  encodeFrames(run, wsWrapping)
  t.equal([...one.encoded.values()][0], before)
  t.equal(one.encoded.size, 1)
})

t.test('events that are ready together are sent with one write', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  for (const { name, connect } of transports) {
    const shop = await tenant(app)
    const topic = await shop.topic('together.events')
    let writes = 0
    const count = (socket: Socket) => {
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
      socket.write = (...args: unknown[]) => { writes++; return write(...args) }
    }
    app.server.once('connection', count)
    const client = await connect(url, { token: shop.token() })
    await client.request('subscribe', { topic })
    writes = 0
    await shop.publish(topic, ...Array.from({ length: 50 }, (_, i) => i))
    t.same((await client.received(50)).map(event => event.payload), Array.from({ length: 50 }, (_, i) => i), name)
    t.equal(writes, 1, `${name}: 50 events, one write`)
    client.close()
  }
})
