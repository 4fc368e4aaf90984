import t from 'tap'
import { isLoopback } from '../../../src/identity/auth/setup.ts'

t.test("loopback is a request from this machine, without a proxy, to this machine's name", async t => {
  const here = { socketAddress: '127.0.0.1', httpVersion: '1.1', headers: { host: 'localhost:3000' } }
  t.ok(isLoopback(here))
  for (const socketAddress of ['::1', '::ffff:127.0.0.1', '127.8.8.8']) {
    t.ok(isLoopback({ ...here, socketAddress }), socketAddress)
  }
  for (const host of ['127.0.0.1', 'LOCALHOST', '[::1]:3000']) t.ok(isLoopback({ ...here, headers: { host } }), host)

  for (
    const socketAddress of [undefined, '', '10.0.0.1', '::ffff:10.0.0.1', '1127.0.0.1', '127.0.0.1.example.com', '::']
  ) t.notOk(isLoopback({ ...here, socketAddress }), String(socketAddress))
  for (const host of [undefined, '', 'example.com', 'localhost.example.com', '127.0.0.1.nip.io', '0.0.0.0:3000']) {
    t.notOk(isLoopback({ ...here, headers: host === undefined ? {} : { host } }), String(host))
  }
  for (const origin of ['http://localhost:5173', 'https://127.0.0.1', 'http://[::1]:3000']) {
    t.ok(isLoopback({ ...here, headers: { ...here.headers, origin } }), origin)
  }
  for (
    const origin of [
      'null',
      '',
      'https://evil.example.com',
      'http://localhost.evil.example.com',
      'http://localhost:3000@evil.example.com'
    ]
  ) t.notOk(isLoopback({ ...here, headers: { ...here.headers, origin } }), origin)
  t.notOk(isLoopback({ ...here, httpVersion: '1.0' }), 'a request that nginx forwards with its defaults')
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host']) {
    t.notOk(isLoopback({ ...here, headers: { ...here.headers, [name]: '127.0.0.1' } }), name)
  }
})
