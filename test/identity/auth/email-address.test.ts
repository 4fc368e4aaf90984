import t from 'tap'
import { canonicalEmail } from '../../../src/identity/auth/email-address.ts'
import { loginNetworkOf, networkOf } from '../../../src/identity/auth/network.ts'

t.test('all spellings of an address have one canonical form, and lookalikes stay different', async t => {
  const spellings = [
    'Ada.King@Example.com',
    'ADA.KING@EXAMPLE.COM',
    ' ada.king@example.com ',
    'ada.king@example.com.',
    'ada.\u212Aing@example.com',
    '\uff41\uff44\uff41.king@\uff45xample.com',
    'ada.k\u200bing@example.com',
    'ada.king\u00ad@example.com',
    'ada.king@example\u3002com',
    'ada.king\uff20example.com',
    'ada.king @ example.com'
  ]
  for (const spelling of spellings) t.equal(canonicalEmail(spelling), 'ada.king@example.com', JSON.stringify(spelling))
  for (
    const lookalike of [
      'ada.k\u0131ng@example.com', 'ada.k\u0130ng@example.com', '\u0430da.king@example.com', 'ada.king+x@example.com'
    ]
  ) {
    t.not(canonicalEmail(lookalike), 'ada.king@example.com', lookalike)
  }
  t.equal(canonicalEmail('cafe\u0301@example.com'), canonicalEmail('CAF\u00c9@example.com'))
  t.equal(canonicalEmail('a@B\u00dccher.de'), 'a@xn--bcher-kva.de')
  for (const address of [...spellings, 'no address', '', '@', 'a@b@c', 'STRA\u1e9eE@x.de']) {
    t.equal(canonicalEmail(canonicalEmail(address)), canonicalEmail(address), 'the canonical form is stable')
  }
})

t.test('requests are counted by network, and logins by a wider one', async t => {
  t.equal(networkOf('192.0.2.7'), '192.0.2.7')
  t.equal(networkOf('::ffff:192.0.2.7'), '192.0.2.7')
  t.equal(networkOf('2001:db8:1:2ff:3::1'), networkOf('2001:db8:1:2ff:4::2'))
  t.not(networkOf('2001:db8:1:2ff::1'), networkOf('2001:db8:1:2fe::1'))
  t.equal(loginNetworkOf('192.0.2.7'), loginNetworkOf('::ffff:192.0.2.200'))
  t.not(loginNetworkOf('192.0.2.7'), loginNetworkOf('192.0.3.7'))
  t.equal(loginNetworkOf('2001:db8:1:2ff::1'), loginNetworkOf('2001:db8:1:200::1'))
  t.not(loginNetworkOf('2001:db8:1:2ff::1'), loginNetworkOf('2001:db8:1:300::1'))
  t.equal(loginNetworkOf(undefined), '')
  t.equal(networkOf('unknown'), 'unknown')
})
