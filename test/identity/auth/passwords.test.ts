import t from 'tap'
import { hashPassword, verifyPassword } from '../../../src/identity/auth/passwords.ts'

t.test('passwords are hashed with argon2id, and match in any Unicode form', async t => {
  const hash = await hashPassword('caf\u00e9 au lait')
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.ok(await verifyPassword(hash, 'cafe\u0301 au lait'))
  t.notOk(await verifyPassword(hash, 'cafe au lait'))
  t.notOk(await verifyPassword(hash, ''))
})

t.test('no password matches a user who does not exist', async t => {
  t.notOk(await verifyPassword(undefined, 'nobody has this one'))
  t.notOk(await verifyPassword(undefined, 'something else'))
})
