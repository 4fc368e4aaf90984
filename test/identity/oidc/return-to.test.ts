import t from 'tap'
import { readReturnTo } from '../../../src/identity/oidc/return-to.ts'

const others = ['https://console.example.com', 'http://localhost:5173']

t.test('paths of this server and URLs of other consoles are accepted', async t => {
  t.same(readReturnTo(undefined, others), { origin: undefined, path: '/' })
  for (const path of ['/', '/topics', '/topics?q=a%2Fb#c', '/a//b', '/%E2%82%AC', "/it's", '/@evil.example']) {
    t.same(readReturnTo(path, others), { origin: undefined, path }, path)
  }
  t.same(readReturnTo('https://console.example.com', others), { origin: others[0], path: '/' })
  t.same(readReturnTo('https://console.example.com/a?b', others), { origin: others[0], path: '/a?b' })
  t.same(readReturnTo('http://localhost:5173/a', others), { origin: others[1], path: '/a' })
})

t.test('anything that a browser may read as another host is refused', async t => {
  const foreign = [
    'https://evil.example', '//evil.example', '///evil.example', '/\\evil.example', '\\\\evil.example',
    '\\/evil.example',
    '/%2fevil.example', '/%2Fevil.example', '/%5cevil.example', '/%2e%2e/evil', '/..//evil.example', '/.//evil.example',
    '/a/..//evil.example', '/%2e/%2e//evil.example', '/%09/evil.example', '/%252fevil.example', '/\t/evil.example',
    '/\n/evil.example', '/\r/evil.example', '/\u0000/evil.example', ' /a', '/a b', '/\u2028', '/é', '', 'topics',
    'javascript:alert(1)', 'data:text/html,x', 'https:evil.example', 'http:/evil.example',
    'https://console.example.com.evil.example/', 'https://console.example.com@evil.example/',
    'https://console.example.com:8443/', 'https://console.example.com//evil.example',
    'https://console.example.com/\\evil.example', 'https://console.example.com?x', 'HTTPS://CONSOLE.EXAMPLE.COM/',
    'http://console.example.com/'
  ]
  for (const text of foreign) {
    t.throws(() => readReturnTo(text, others), { code: 'VALIDATION_FAILED' }, encodeURIComponent(text))
  }
})
