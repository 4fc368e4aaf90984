import t from 'tap'
import {
  createAddressGuard, ForbiddenAddressError, type AddressGuardOptions
} from '../../../src/webhooks/http/address-guard.ts'

/* Every spelling of every address that a webhook must not reach, as a literal and as the result of a resolver. */

const names: Record<string, string[]> = {
  'public.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'private.example': ['10.0.0.7'],
  'mixed.example': ['93.184.216.34', '127.0.0.1'],
  'mixed6.example': ['2606:2800:220:1::1', 'fe80::1'],
  'metadata.example': ['169.254.169.254'],
  'nat64.example': ['64:ff9b::5db8:d822'],
  'nothing.example': [],
  'nonsense.example': ['not an address'],
  // This resolver accepts numbers as names, as getaddrinfo does.
  'localhost.example': ['::1']
}
const guard = (options: Partial<AddressGuardOptions> = {}) => createAddressGuard({
  allowPrivate: false,
  allowedNetworks: [],
  resolve: async name => {
    const found = names[name]
    if (found === undefined) throw new Error(`asked for ${name}`)
    return found
  },
  ...options
})

const publicAddresses = [
  '93.184.216.34', '1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.0',
  '169.253.255.255', '169.255.0.0', '192.167.1.1', '223.255.255.255', '2606:2800:220:1::1', '2001:4860:4860::8888',
  '2a00:1450:4001:81b::200e', '::ffff:8.8.8.8', '64:ff9b::808:808', '[2606:4700::1111]'
]

const forbidden: Record<string, string[]> = {
  'a "this network" address': ['0.0.0.0', '0.1.2.3', '0', '0x0', '00', '0.0'],
  'a loopback address': [
    '127.0.0.1', '127.255.255.255', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7F.1', '0177.0.0.1',
    '017700000001', '0x7f.0x0.0x0.0x1', '127.0.0.1.', '127.000.000.001', ' 127.0.0.1 ', '::1', '[::1]',
    '0:0:0:0:0:0:0:1', '0000::0001', '::1%lo'
  ],
  'a private address': [
    '10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1', '192.168.255.255', '0xa000001',
    '167772161', '012.0.0.1', '0xC0.0xA8.1', '192.168.257', '3232235521'
  ],
  'a link-local address': [
    '169.254.0.1', '169.254.255.255', 'fe80::1', 'fe80::1%eth0', 'fe80::1%25eth0', 'febf::1', '[fe80::a%1]'
  ],
  'a carrier-grade NAT address': ['100.64.0.1', '100.127.255.255'],
  'a multicast address': ['224.0.0.1', '239.255.255.255', 'ff02::1', 'ff0e::1'],
  'the broadcast address': ['255.255.255.255', '4294967295', '0xffffffff'],
  'a reserved address': [
    '240.0.0.1', '254.1.2.3', '192.0.0.1', '192.0.2.1', '198.51.100.7', '203.0.113.9', '198.18.0.1', '198.19.255.255',
    '192.88.99.1', '2001:db8::1', '100::1', '::', '3fff::1', '4000::1', '1000::1', 'e000::1', '2001:2::1', '2001:10::1'
  ],
  'a unique local or site local address': ['fc00::1', 'fdff:ffff::1', 'fec0::1'],
  'an IPv4-mapped address': [
    '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '0:0:0:0:0:ffff:a00:1', '[::ffff:192.168.1.1]',
    '::ffff:169.254.169.254', '::ffff:0.0.0.0', '::FFFF:127.0.0.1'
  ],
  'an IPv4-compatible address': ['::127.0.0.1', '::7f00:1', '::10.0.0.1', '::93.184.216.34', '::a9fe:a9fe'],
  'an IPv4-translated address': ['::ffff:0:127.0.0.1', '::ffff:0:a9fe:a9fe'],
  'a NAT64 address': [
    '64:ff9b::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b::a00:1', '64:ff9b::169.254.169.254', '64:ff9b::192.168.1.1',
    '64:ff9b:1::1', '64:ff9b:1:7f00:1::', '64:ff9b:1::8.8.8.8'
  ],
  'a 6to4 address': ['2002:7f00:1::', '2002:a00:1::1', '2002:a9fe:a9fe::', '2002:5db8:d822::1'],
  'a Teredo address': ['2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:0:7f00:1::'],
  'a metadata address': [
    '169.254.169.254', '0xa9fea9fe', '2852039166', '0251.0376.0251.0376', '169.254.43518', 'fd00:ec2::254',
    '[fd00:ec2::254]', '100.100.100.200', '168.63.129.16', '169.254.170.2', 'fd20:ce::254', '192.0.0.192'
  ],
  'a local or metadata name': [
    'localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'metadata.google.internal', 'Metadata.Google.Internal.',
    'metadata', 'instance-data', 'metadata.goog'
  ],
  'an invalid address': ['1.2.3.4.5', '256.256.256.256', '0x', '127.0.0.0x', '']
}

await t.test('public addresses are allowed', async t => {
  for (const address of publicAddresses) {
    t.doesNotThrow(() => guard().checkHost(address), address)
    t.doesNotThrow(() => guard().check(address), address)
    t.equal((await guard().resolve(address)).length, 1, `${address} needs no resolver`)
  }
})

for (const [kind, spellings] of Object.entries(forbidden)) {
  await t.test(`${kind} is rejected`, async t => {
    for (const spelling of spellings) {
      const isUnreadable = kind === 'an invalid address' && spelling !== ''
      if (!isUnreadable) t.throws(() => guard().checkHost(spelling), ForbiddenAddressError, `${spelling} as a literal`)
      t.throws(() => guard().check(spelling), ForbiddenAddressError, `${spelling} as a resolved address`)
      await t.rejects(guard().resolve(spelling), `${spelling} when connecting`)
    }
  })
}

await t.test('every resolved address is checked, and one forbidden address rejects the name', async t => {
  t.strictSame(await guard().resolve('public.example'), names['public.example'])
  t.strictSame(await guard().resolve('PUBLIC.example.'), names['public.example'], 'spelling does not matter')
  t.strictSame(await guard().resolve('nat64.example'), names['nat64.example'])
  for (
    const name of [
      'private.example', 'mixed.example', 'mixed6.example', 'metadata.example', 'nothing.example', 'nonsense.example',
      'localhost.example'
    ]
  ) {
    await t.rejects(guard().resolve(name), ForbiddenAddressError, name)
  }
})

await t.test('a name is checked again each time it resolves', async t => {
  const answers = [['93.184.216.34'], ['127.0.0.1']]
  const rebinding = guard({ resolve: async () => answers.shift() ?? [] })
  t.strictSame(await rebinding.resolve('rebinding.example'), ['93.184.216.34'])
  await t.rejects(rebinding.resolve('rebinding.example'), ForbiddenAddressError)
})

await t.test('with private addresses allowed, everything but metadata services is allowed', async t => {
  const open = guard({ allowPrivate: true })
  const never = new Set([
    '::ffff:169.254.169.254',
    '::a9fe:a9fe',
    '::ffff:0:a9fe:a9fe',
    '64:ff9b::169.254.169.254',
    '2002:a9fe:a9fe::',
    'metadata.google.internal',
    'Metadata.Google.Internal.',
    'metadata',
    'instance-data',
    'metadata.goog',
    ...forbidden['a metadata address'] ?? []
  ])
  for (const [kind, spellings] of Object.entries(forbidden)) {
    if (kind === 'an invalid address') continue
    for (const spelling of spellings) {
      if (never.has(spelling)) t.throws(() => open.checkHost(spelling), /metadata/, `${spelling} is never allowed`)
      else t.doesNotThrow(() => open.checkHost(spelling), spelling)
    }
  }
  await t.rejects(open.resolve('metadata.example'), ForbiddenAddressError, 'nor is it allowed by name')
  t.strictSame(await open.resolve('mixed.example'), names['mixed.example'])
})

await t.test('allowed networks can be reached, and no others', async t => {
  const some = guard({ allowedNetworks: ['10.1.0.0/16', 'fd12:3456::/32', '169.254.0.0/16'] })
  for (
    const address of ['10.1.0.1', '10.1.255.255', '::ffff:10.1.2.3', '64:ff9b::a01:1', 'fd12:3456::1', '169.254.1.1']
  ) t.doesNotThrow(() => some.check(address), address)
  for (
    const address of [
      '10.2.0.1', '10.0.255.255', '127.0.0.1', 'fd12:3457::1', '::ffff:10.2.0.1', '192.168.0.1', '169.254.169.254'
    ]
  ) t.throws(() => some.check(address), ForbiddenAddressError, address)
})
