import t from 'tap'
import { parseConnectionString, withoutPassword } from '../../../src/cdc/source/connection-string.ts'

t.test('a connection string may name any host but a metadata service', async t => {
  for (const host of ['db.example.com', '10.0.0.7', '127.0.0.1', '[fd00::1]', 'localhost']) {
    t.ok(parseConnectionString(`postgres://a:b@${host}:5432/shop`), host)
  }
  for (
    const host of [
      '169.254.169.254', '[::ffff:169.254.169.254]', '0xa9fea9fe', '2852039166', 'metadata.google.internal',
      'METADATA.google.internal.', '[fd00:ec2::254]'
    ]
  ) {
    t.throws(() => parseConnectionString(`postgres://a:b@${host}:80/shop`), {
      code: 'VALIDATION_FAILED',
      message: /connectionString/
    }, host)
  }
})

t.test('a connection string cannot read a file or open a local socket', async t => {
  for (
    const query of [
      'sslcert=/etc/passwd', 'sslrootcert=/etc/passwd', 'sslkey=/etc/passwd', 'host=/tmp', 'options=-c%20role=postgres',
      'service=x'
    ]
  ) {
    t.throws(
      () => parseConnectionString(`postgres://a:b@db.example.com/shop?${query}`),
      { code: 'VALIDATION_FAILED' },
      query
    )
  }
  for (const host of ['%2Ftmp', '/tmp', '%00', 'a%2Fb']) {
    t.throws(() => parseConnectionString(`postgres://a:b@${host}/shop`), { code: 'VALIDATION_FAILED' }, host)
  }
})

t.test('the password is removed for display and from errors', async t => {
  t.equal(withoutPassword('postgres://a:secret@db.example.com/shop'), 'postgres://a@db.example.com/shop')
  for (
    const text of [
      'postgres://a:secret@/shop',
      'postgres://a:secret@db.example.com',
      'postgres://a:secret@db.example.com/shop?x=1',
      'postgres://a:secret@169.254.169.254/shop'
    ]
  ) {
    t.throws(() => parseConnectionString(text), { message: /^(?!.*secret)/ })
  }
})
