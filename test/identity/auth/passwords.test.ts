import t from 'tap'
import { hashPassword, verifyPassword } from '../../../src/identity/auth/passwords.ts'

t.test('argon2id, and the same password in whatever Unicode form', async t => {
  const hash = await hashPassword('caf\u00e9 au lait')
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.ok(await verifyPassword(hash, 'cafe\u0301 au lait'))
  t.notOk(await verifyPassword(hash, 'cafe au lait'))
  t.notOk(await verifyPassword(hash, ''))
})

t.test('nobody has a password that fits a user who does not exist', async t => {
  t.notOk(await verifyPassword(undefined, 'nobody has this one'))
  t.notOk(await verifyPassword(undefined, 'something else'))
})
