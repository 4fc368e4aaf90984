import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import t from 'tap'
import { createEncryption } from '../../../src/foundation/encryption/encryption.ts'

const key = Buffer.alloc(32, 7)
const encryption = createEncryption([key])
const place = { table: 'webhooks', column: 'secrets', id: 'wh_1' }

/** The earlier form, without a place. */
function sealedBefore (plain: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return [
    'v1',
    createHash('sha256').update(key).digest('base64url').slice(0, 8),
    ...[nonce, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))
  ].join('.')
}

t.test('a sealed secret opens in its own row and column only', async t => {
  const sealed = encryption.encrypt('a secret', place)
  t.equal(encryption.decrypt(sealed, place), 'a secret')
  for (
    const other of [{ id: 'wh_2' }, { column: 'secret' }, { table: 'webhook' }, {
      table: 'webhooks","secrets', column: ''
    }]
  ) {
    t.throws(() => encryption.decrypt(sealed, { ...place, ...other }), JSON.stringify(other))
    t.throws(() => encryption.reseal(sealed, { ...place, ...other }))
  }
  t.equal(encryption.decrypt(encryption.encrypt('', place), place), '')
})

t.test('a shortened tag, and every other change, is rejected', async t => {
  const parts = encryption.encrypt('a secret', place).split('.')
  const tag = Buffer.from(parts[3] ?? '', 'base64url')
  for (const bytes of [0, 1, 4, 8, 12, 15]) {
    t.throws(
      () => encryption.decrypt(parts.with(3, tag.subarray(0, bytes).toString('base64url')).join('.'), place),
      `${bytes} bytes of the tag`
    )
  }
  t.throws(() => encryption.decrypt(parts.with(3, Buffer.concat([tag, tag]).toString('base64url')).join('.'), place))
  t.throws(() => encryption.decrypt(parts.with(2, randomBytes(12).toString('base64url')).join('.'), place))
  t.throws(() => encryption.decrypt(parts.with(0, 'v1').join('.'), place),
    'a secret cannot return to the form without a place')
  t.throws(() => encryption.reseal(parts.with(0, 'v1').join('.'), place))
  for (
    const wrong of [
      '',
      'v2',
      'v2....',
      parts.slice(0, 4).join('.'),
      `${parts.join('.')}.x`,
      parts.with(4, 'AAAA').join('.')
    ]
  ) t.throws(() => encryption.decrypt(wrong, place), wrong)
})

t.test('only reencrypt reads the earlier form', async t => {
  const sealed = sealedBefore('a secret')
  t.throws(() => encryption.decrypt(sealed, place), { message: /npm run reencrypt/ })
  const bound = encryption.reseal(sealed, place)
  t.equal(encryption.decrypt(bound, place), 'a secret')
  t.equal(encryption.reseal(bound, place), bound, 'once')
})
