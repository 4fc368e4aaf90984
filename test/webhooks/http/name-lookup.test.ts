import { once } from 'node:events'
import { createSocket, type RemoteInfo } from 'node:dgram'
import t from 'tap'
import { createNameLookup } from '../../../src/webhooks/http/name-lookup.ts'
import { until } from '../../support/waiting.ts'
import { upTo } from '../../support/webhooks.ts'

/* Lookups at a DNS server that resolves some names and stays silent about others. */

const known: Record<string, { 1?: Buffer, 28?: Buffer }> = {
  'good.example.test': {
    1: Buffer.from([93, 184, 216, 34]), 28: Buffer.from('26062800022000010000000000000001', 'hex')
  },
  'v4.example.test': { 1: Buffer.from([93, 184, 216, 35]) }
}
const asked: { name: string, type: number, answer: () => void }[] = []
const dns = createSocket('udp4', (message, from) => {
  const { name, type, question } = questionOf(message)
  const answer = () => reply(message, question, known[name], type, from)
  asked.push({ name, type, answer })
  if (!name.includes('silent')) answer()
}).bind(0, '127.0.0.1')
await once(dns, 'listening')
t.teardown(() => dns.close())
const options = { allowPrivate: false, allowedNetworks: [], servers: [`127.0.0.1:${dns.address().port}`] }

await t.test('a lookup returns all addresses of a name, and fails for a name without any', async t => {
  const find = createNameLookup(options)
  t.strictSame(await find('good.example.test'), ['93.184.216.34', '2606:2800:220:1::1'])
  t.strictSame(await find('v4.example.test'), ['93.184.216.35'])
  await t.rejects(find('nowhere.example.test'), { code: 'ENOTFOUND' })
})

await t.test('silent name servers delay no other name, and concurrent lookups share one query', async t => {
  const find = createNameLookup(options)
  const silent = upTo(200).map(n => find(`silent${n % 20}.example.test`))
  const outcomes = Promise.allSettled(silent)
  t.strictSame(await find('good.example.test'), ['93.184.216.34', '2606:2800:220:1::1'])
  await until(
    () => new Set(asked.filter(({ name }) => name.startsWith('silent')).map(({ name }) => name)).size === 20,
    'a query for each of them'
  )
  // Two tries of each name, with both types.
  t.ok(asked.filter(({ name }) => name.startsWith('silent')).length <= 20 * 4)
  for (const { name, answer } of asked) if (name.startsWith('silent')) answer()
  for (const { status } of await outcomes) t.equal(status, 'rejected')
})

await t.test('where private networks are allowed, the system resolves names that are not in DNS', async t => {
  for (const allowed of [{ allowPrivate: true }, { allowedNetworks: ['127.0.0.0/8'] }]) {
    const addresses = await createNameLookup({ ...options, ...allowed })('localhost')
    t.ok(addresses.includes('127.0.0.1') || addresses.includes('::1'), JSON.stringify(allowed))
  }
})

function questionOf (message: Buffer) {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return {
    name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), question: message.subarray(12, at + 5)
  }
}

function reply (
  message: Buffer, question: Buffer, found: { 1?: Buffer, 28?: Buffer } | undefined, type: number,
  { address, port }: RemoteInfo
): void {
  const data = found?.[type as 1 | 28]
  const header = Buffer.alloc(12)
  header.writeUInt16BE(message.readUInt16BE(0), 0)
  // A response with recursion available, for a name that does not exist.
  header.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(data === undefined ? 0 : 1, 6)
  const record = Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 60, 0, data?.length ?? 0])
  dns.send(Buffer.concat([header, question, ...data === undefined ? [] : [record, data]]), port, address)
}
