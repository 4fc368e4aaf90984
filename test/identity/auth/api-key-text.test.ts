import t from 'tap'
import { generateApiKey, hashOfApiKey, isApiKey, shownPartOf } from '../../../src/identity/auth/api-key-text.ts'

t.test('a new key has the form that secret scanners look for', async t => {
  const keys = Array.from({ length: 200 }, generateApiKey)
  for (const key of keys) {
    t.match(key, /^rtk_[0-9A-Za-z]{49}$/)
    t.ok(isApiKey(key), key)
    t.equal(shownPartOf(key), key.slice(0, 12))
  }
  t.equal(new Set(keys.map(shownPartOf)).size, keys.length)
  t.equal(hashOfApiKey(keys[0] ?? '').length, 32)
})

t.test('every letter of the random part occurs', async t => {
  const seen = new Set(Array.from({ length: 300 }, () => generateApiKey().slice(5, 47)).join(''))
  t.equal(seen.size, 62)
})

t.test('a key with one wrong letter, or with two exchanged, is recognised as mistyped', async t => {
  const key = generateApiKey()
  const other = (letter: string) => letter === 'a' ? 'b' : 'a'
  for (let i = 4; i < key.length; i++) {
    const letter = key[i] as string
    t.notOk(isApiKey(`${key.slice(0, i)}${other(letter)}${key.slice(i + 1)}`), `letter ${i}`)
    const next = key[i + 1]
    if (next === undefined || next === letter) continue
    t.notOk(isApiKey(`${key.slice(0, i)}${next}${letter}${key.slice(i + 2)}`), `letters ${i} and ${i + 1}`)
  }
  for (
    const text of ['', 'rtk_', key.slice(0, -1), `${key}a`, `${key}\n`, ` ${key}`, key.toUpperCase(), 'x'.repeat(53)]
  ) t.notOk(isApiKey(text), JSON.stringify(text))
})
