import fc from 'fast-check'
import { createRequire } from 'node:module'
import pg from 'pg'
import t from 'tap'
import { PgoutputPlugin } from 'pg-logical-replication'
import { ReplicationStream } from '../../../src/cdc/decoding/replication-stream.ts'
import { SourceError } from '../../../src/cdc/source/source.ts'
import { fromFailure, toFailure } from '../../../src/cdc/decoding/failure.ts'
import { requireBounded } from '../../../src/cdc/threads/result-size.ts'
import { TruncateReports, type Truncates } from '../../../src/cdc/threads/truncate-reports.ts'
import { Conversation } from '../../../src/cdc/wire/conversation.ts'
import { MessageReader } from '../../../src/cdc/wire/message-reader.ts'
import { PgoutputCheck } from '../../../src/cdc/wire/pgoutput-check.ts'
import { AuthenticationMethodError, ProtocolError } from '../../../src/cdc/wire/protocol-error.ts'
import {
  description, failure, int16, int32, message, ready, row, startHostileServer, text, welcome
} from './hostile-server.ts'

/* Everything that passes the checks of the wire can be parsed. */

interface Parser { parse (buffer: Buffer, callback: (message: unknown) => void): void }
const { Parser } = createRequire(import.meta.url)('pg-protocol/dist/parser.js') as { Parser: new () => Parser }

const limits = { messageBytesMax: 100_000, resultBytesMax: 100_000 }
const lsn = (value: number) => Buffer.concat([int32(0), int32(value)])
const wal = (content: Buffer) => message('d', [Buffer.from('w'), lsn(1), lsn(2), lsn(3), content])
const keepalive = message('d', [Buffer.from('k'), lsn(9), lsn(1), Buffer.from([1])])
const column = (name: string) => Buffer.concat([Buffer.from([1]), text(name), int32(25), int32(-1)])
const relation = Buffer.concat([
  Buffer.from('R'), int32(16_384), text('public'), text('orders'), Buffer.from('d'), int16(2), column('id'),
  column('name')
])
const described = (oid: number, name: string, columns: readonly string[] = []) =>
  Buffer.concat([
    Buffer.from('R'),
    int32(oid),
    text('public'),
    text(name),
    Buffer.from('d'),
    int16(columns.length),
    ...columns.map(column)
  ])
const value = (content: string) => Buffer.concat([Buffer.from('t'), int32(content.length), Buffer.from(content)])
const tuple = (kind: string) => Buffer.concat([Buffer.from(kind), int16(2), value('1'), value('lamp')])
const begin = Buffer.concat([Buffer.from('B'), lsn(5), lsn(0), int32(700)])
const changes = [
  begin,
  relation,
  Buffer.concat([Buffer.from('I'), int32(16_384), tuple('N')]),
  Buffer.concat([Buffer.from('U'), int32(16_384), tuple('O'), tuple('N')]),
  Buffer.concat([Buffer.from('D'), int32(16_384), tuple('K')]),
  Buffer.concat([Buffer.from('T'), int32(1), Buffer.from([0]), int32(16_384)]),
  Buffer.concat([Buffer.from('C'), Buffer.from([0]), lsn(5), lsn(6), lsn(0)])
]
/** A valid conversation: the start, two queries, one that fails, a stream. */
const honest = [
  welcome,
  Buffer.concat([description('a', 'b'), row('1', null), row('', 'ü'), message('C', [text('SELECT 2')]), ready]),
  Buffer.concat([failure('42P01', 'no such table'), ready]),
  Buffer.concat([message('W', [Buffer.from([0]), int16(0)]), ...changes.map(wal), keepalive])
]

/** Reads as node-postgres and the stream would. Returns the number of messages. */
function read (steps: readonly Buffer[], cuts: readonly number[] = []): number {
  const conversation = new Conversation(limits, true)
  const reader = new MessageReader(conversation)
  const parser = new Parser()
  const check = new PgoutputCheck()
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['p'] })
  let count = 0
  for (const step of steps) {
    const ends = [...new Set(cuts.map(cut => cut % step.length))].sort((a, b) => a - b)
    for (const [i, end] of [...ends, step.length].entries()) {
      reader.take(
        Buffer.from(step.subarray(i === 0 ? 0 : ends[i - 1], end)),
        messages =>
          parser.parse(messages, parsed => {
            count++
            const { name, chunk } = parsed as { name: string, chunk?: Buffer }
            if (name !== 'copyData' || chunk === undefined || chunk[0] !== 0x77) return
            check.check(chunk.subarray(25))
            plugin.parse(chunk.subarray(25))
          })
      )
    }
    conversation.sent(0x51)
  }
  return count
}

await t.test('a valid conversation passes, however it is split', async t => {
  const whole = read(honest)
  t.equal(whole, 20)
  fc.assert(fc.property(fc.array(fc.nat(2000), { maxLength: 12 }), cuts => read(honest, cuts) === whole), {
    numRuns: 300
  })
  t.equal(read(honest, Array.from({ length: 2000 }, (_, i) => i)), whole, 'byte by byte')
})

await t.test('a corrupted conversation is either refused or can be parsed', async () => {
  const change = fc.record({
    step: fc.nat(3), at: fc.nat(1000), bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }), isInserted: fc.boolean()
  })
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(2000), { maxLength: 4 }),
      (mutations, cuts) => {
        const steps = [...honest]
        for (const { step, at, bytes, isInserted } of mutations) {
          const before = steps[step] as Buffer
          const where = at % before.length
          steps[step] = Buffer.concat([
            before.subarray(0, where), bytes, before.subarray(where + (isInserted ? 0 : bytes.length))
          ])
        }
        try {
          read(steps, cuts)
        } catch (error) {
          if (!(error instanceof ProtocolError) && !(error instanceof AuthenticationMethodError)) throw error
        }
      }
    ),
    { numRuns: 3000 }
  )
})

await t.test('memory grows with the received bytes, not with the declared length', async t => {
  const conversation = new Conversation({ messageBytesMax: 2 ** 30, resultBytesMax: 2 ** 30 }, false)
  const reader = new MessageReader(conversation)
  const pass = () => {}
  reader.take(welcome, pass)
  conversation.sent(0x51)
  reader.take(description('a'), pass)
  const before = process.memoryUsage().arrayBuffers
  reader.take(Buffer.concat([Buffer.from('D'), int32(2 ** 30)]), pass)
  for (let i = 0; i < 1000; i++) reader.take(Buffer.from([1]), pass)
  t.ok(process.memoryUsage().arrayBuffers - before < 10_000_000)
})

const overlong = (kind: string) =>
  Buffer.concat([Buffer.from(kind), int32(16_384), Buffer.from('N'), int16(2), value('1'), value('x'.repeat(150_000))])

await t.test('an overlong row change is passed as its table, operation and length, however it is split', async t => {
  const stream = Buffer.concat([
    ...[begin, relation, overlong('I'), ...changes.slice(2, 3), overlong('U')].map(wal),
    keepalive
  ])
  const passed = (cuts: readonly number[]) => {
    const conversation = new Conversation(limits, true)
    const reader = new MessageReader(conversation)
    const messages: Buffer[] = []
    reader.take(welcome, () => {})
    conversation.sent(0x51)
    reader.take(message('W', [Buffer.from([0]), int16(0)]), () => {})
    const ends = [...new Set(cuts)].sort((a, b) => a - b)
    for (const [i, end] of [...ends, stream.length].entries()) {
      reader.take(stream.subarray(i === 0 ? 0 : ends[i - 1], end), piece =>
        messages.push(Buffer.from(piece)))
    }
    return Buffer.concat(messages).toString('latin1')
  }
  const short = (kind: string) =>
    wal(Buffer.concat([Buffer.from(`X${kind}`), int32(16_384), int32(overlong(kind).length)]))
  const whole = Buffer.concat([
    wal(begin),
    wal(relation),
    short('I'),
    ...changes.slice(2, 3).map(wal),
    short('U'),
    keepalive
  ]).toString('latin1')
  t.equal(passed([]), whole)
  const cut = fc.oneof(fc.nat(500), fc.nat(stream.length), fc.integer({ min: 150_000, max: 151_000 }))
  fc.assert(fc.property(fc.array(cut, { maxLength: 20 }), cuts => passed(cuts) === whole), { numRuns: 100 })
  t.equal(passed(Array.from({ length: 400 }, (_, i) => i)), whole, 'byte by byte at the start')
})

await t.test('an overlong message is not kept, and only a row change may be overlong', async t => {
  const begun = (content: Buffer) => {
    const conversation = new Conversation(limits, true)
    const reader = new MessageReader(conversation)
    reader.take(welcome, () => {})
    conversation.sent(0x51)
    reader.take(message('W', [Buffer.from([0]), int16(0)]), () => {})
    reader.take(content, () => {})
    return reader
  }
  for (
    const content of [
      wal(Buffer.concat([Buffer.from('M'), Buffer.alloc(150_000)])),
      message('d', [Buffer.from('k'), Buffer.alloc(150_000)])
    ]
  ) {
    t.throws(() => begun(content), { message: /bytes exceeds the limit/ })
  }
  t.throws(
    () => begun(Buffer.concat([Buffer.from('d'), int32(2 ** 30 + 5)])), { message: /the limit is 1073741824/ },
    'PostgreSQL\'s own limit applies too'
  )
  const reader = begun(Buffer.concat([Buffer.from('d'), int32(2 ** 29)]))
  const piece = Buffer.alloc(64 * 1024, 1)
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 1000; i++) reader.take(piece, () => {})
  t.ok(process.memoryUsage().arrayBuffers - before < 1_000_000, 'of 64 MB')
})

const streamed: Record<string, Buffer> = {
  'CopyData without content': message('d'),
  'CopyData of an unknown kind': message('d', [Buffer.alloc(40, 1)]),
  'a keepalive that is cut off': message('d', [Buffer.from('k'), int32(1)]),
  'WAL data without a message': message('d', [Buffer.from('w'), Buffer.alloc(24)]),
  'an unknown pgoutput message': wal(Buffer.from('?')),
  'a change of a table that was not described': wal(Buffer.concat([Buffer.from('I'), int32(5), tuple('N')])),
  'a relation of -1 columns': wal(
    Buffer.concat([Buffer.from('R'), int32(5), text('a'), text('b'), Buffer.from('d'), int16(-1)])
  ),
  'a relation of 32767 columns in 10 bytes': wal(
    Buffer.concat([Buffer.from('R'), int32(5), text('a'), text('b'), Buffer.from('d'), int16(32_767)])
  ),
  'a row with a value of -5 bytes': Buffer.concat([
    wal(relation),
    wal(Buffer.concat([Buffer.from('I'), int32(16_384), Buffer.from('N'), int16(2), Buffer.from('t'), int32(-5)]))
  ]),
  'a row with more columns than the table': Buffer.concat([
    wal(relation),
    wal(
      Buffer.concat([Buffer.from('I'), int32(16_384), Buffer.from('N'), int16(3), value('a'), value('b'), value('c')])
    )
  ]),
  'a table with a name of 253 bytes': wal(described(5, 'x'.repeat(253))),
  'a column with a name of 253 bytes': wal(described(5, 'a', ['x'.repeat(253)])),
  'a type with a name of 253 bytes': wal(Buffer.concat([Buffer.from('Y'), int32(5), text('a'), text('x'.repeat(253))])),
  'a truncation of 2^31-1 tables': wal(Buffer.concat([Buffer.from('T'), int32(2 ** 31 - 1), Buffer.from([0])])),
  'a begin that is cut off': wal(Buffer.from('B123')),
  'a begin within a transaction': Buffer.concat([wal(begin), wal(begin)]),
  'a commit without a transaction': wal(Buffer.concat([Buffer.from('C'), Buffer.alloc(25)])),
  'a message of 2^31-1 bytes': message('d', [Buffer.from('w')], 2 ** 31 - 1),
  'a row description in the stream': description('a'),
  'the end of a query in the stream': ready
}

await t.test('a malformed stream ends with a message in our own words', async t => {
  for (const [name, garbage] of Object.entries(streamed)) {
    const server = await startHostileServer(t, {
      onStartup: peer => peer.send(welcome),
      onMessage (peer, type, body) {
        if (type !== 'Q') return
        if (body.toString().startsWith('START_REPLICATION')) {
          peer.send(message('W', [Buffer.from([0]), int16(0)]), keepalive, garbage)
        } else peer.send(description('server_encoding'), row('UTF8'), message('C', [text('SHOW')]), ready)
      }
    })
    const stream = new ReplicationStream({
      connectionString: server.url, mark: 'm', slot: 's', publication: 'p', place: { commitLsn: '0/0', changeIndex: 0 },
      onMessage: () => {}, onKeepalive: () => {}
    })
    await stream.start().catch(() => {})
    t.ok(await stream.ended instanceof ProtocolError, name)
    await stream.stop()
  }
})

await t.test('a name may have the 252 bytes that 63 characters can take', async () => {
  const check = new PgoutputCheck()
  check.check(described(5, 'ü'.repeat(126), ['x'.repeat(252)]))
})

await t.test('only the latest description of a table counts', async t => {
  const check = new PgoutputCheck()
  const columns = Array.from({ length: 1600 }, () => 'x'.repeat(252))
  const wide = (oid: number) => check.check(described(oid, 'a', columns))
  for (let again = 0; again < 200; again++) wide(1)
  for (let oid = 2; oid < 300; oid++) check.check(described(oid, 'a'))
  t.throws(() => { for (let oid = 2; oid < 300; oid++) wide(oid) }, { message: /describes more than/ })
})

await t.test('a flood of TRUNCATEs is reported in one piece, with at most ten tables', async t => {
  const reports: Truncates[] = []
  const reporter = new TruncateReports(report => {
    reports.push(report)
    return new Promise(() => {})
  })
  const relations = Array.from({ length: 50_000 }, (_, i) => (
    {
      tag: 'relation' as const,
      relationOid: i,
      schema: 'public',
      name: `t${i}`,
      replicaIdentity: 'default' as const,
      columns: [],
      keyColumns: []
    }
  ))
  reporter.add({ relations: relations.slice(0, 1) }, '0/1')
  for (let i = 2; i <= 1000; i++) reporter.add({ relations }, `0/${i}`)
  reporter.add({ relations: relations.slice(20, 25) }, '0/2000')
  t.same(
    reports, [{ count: 1, tables: ['public.t0'], hasMoreTables: false, lsn: '0/1' }],
    'no further report while one is in progress'
  )
  reporter.stop()
  t.same(reports[1], {
    count: 1000,
    tables: relations.slice(0, 10).map(({ name }) => `public.${name}`),
    hasMoreTables: true,
    lsn: '0/2000'
  })
  t.equal(reports.length, 2)
})

await t.test('texts of a server are truncated before they reach another thread, a status or the log', async t => {
  const long = `\0\n${'ü😀'.repeat(1_000_000)}`
  for (
    const error of [
      new SourceError('WAL_LEVEL', long), SourceError.of('WAL_LEVEL', long),
      fromFailure(toFailure(new SourceError('WAL_LEVEL', long)))
    ]
  ) {
    t.ok(error.message.length < 600)
    t.match(JSON.stringify(error.message), /^(?!.*\\(u|n))/, 'one line without split characters')
  }
  const statement = Object.assign(new pg.DatabaseError(long, 1, 'error'), { code: long, severity: long })
  t.ok(JSON.stringify(toFailure(statement)).length < 3000)
  t.throws(() => requireBounded([{ wal_level: 'x'.repeat(100_000) }]), { message: /a text of more than/ })
  t.throws(() => requireBounded([{ nested: [{ role: 'x'.repeat(100_000) }] }]), { message: /a text of more than/ })
  const values = Array.from({ length: 300_000 }, () => 1)
  t.throws(() => requireBounded([{ values }]), { message: /more than 250000 values/ })
  requireBounded([{ comment: 'x'.repeat(10_000) }])
})
