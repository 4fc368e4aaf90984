import t from 'tap'
import { HashingQueue, type HashingKind } from '../../../src/identity/auth/hashing-queue.ts'
import { codeOf } from '../../support/refusal.ts'

/** Records work in the order in which it starts. Each piece ends when the test ends it. */
function bench () {
  const queue = new HashingQueue({
    runningMax: 3, runningOthersMax: 2, waitingOfOwnerMax: 5, waitingMax: { knownLogin: 8, login: 8, other: 8 }
  })
  const started: string[] = []
  const ends: (() => void)[] = []
  const ask = (owner: string, kind: HashingKind) => codeOf(() => queue.run({ owner, kind }, () => {
    started.push(owner)
    return new Promise<void>(resolve => { ends.push(resolve) })
  }))
  const settle = () => new Promise(resolve => setImmediate(resolve))
  const finish = async () => {
    ends.shift()?.()
    await settle()
  }
  return { started, ask, settle, finish }
}

t.test('a flood of one owner affects no other owner, and leaves a place for logins', async t => {
  const { started, ask, settle, finish } = bench()
  const flood = Array.from({ length: 20 }, () => ask('flooder', 'other'))
  const login = ask('home', 'login')
  const other = ask('neighbour', 'other')
  await settle()
  t.same(started, ['flooder', 'flooder', 'home'], 'the third place is reserved for logins')
  await finish()
  await finish()
  t.same(started.slice(3, 5), ['flooder', 'neighbour'], 'owners take turns')
  for (let i = 0; i < 20; i++) await finish()
  t.equal((await Promise.all(flood)).filter(code => code === 'RATE_LIMITED').length, 13)
  t.same([await login, await other], [undefined, undefined])
})

t.test('a flood of logins does not block other work', async t => {
  const { started, ask, finish } = bench()
  const logins = Array.from({ length: 11 }, (_, i) => ask(`network ${i}`, 'login'))
  const refused = ask('one too many', 'login')
  const other = ask('admin', 'other')
  t.equal(await refused, 'OVERLOADED')
  await finish()
  t.equal(started.at(-1), 'admin')
  for (let i = 0; i < 20; i++) await finish()
  t.same(await Promise.all([...logins, other]), Array(12).fill(undefined))
})

t.test('strangers from any number of networks do not block a known network', async t => {
  const { started, ask, settle, finish } = bench()
  const strangers = Array.from({ length: 200 }, (_, i) => ask(`2001:db8:0:${i}::`, 'login'))
  const [home, office] = [ask('home', 'knownLogin'), ask('office', 'knownLogin')]
  await settle()
  for (let i = 0; i < 3; i++) await finish()
  t.same(started.slice(3), ['home', 'office', '2001:db8:0:3::'], 'known networks come next, then strangers')
  for (let i = 0; i < 20; i++) await finish()
  t.same([await home, await office], [undefined, undefined])
  t.equal((await Promise.all(strangers)).filter(code => code === 'OVERLOADED').length, 189)
})

t.test('failed work releases its place', async t => {
  const queue = new HashingQueue({
    runningMax: 1, runningOthersMax: 1, waitingOfOwnerMax: 5, waitingMax: { knownLogin: 8, login: 8, other: 8 }
  })
  await t.rejects(queue.run({ owner: 'a', kind: 'login' }, async () => {
    throw new Error('fault')
  }))
  t.equal(await queue.run({ owner: 'a', kind: 'login' }, async () => 1), 1)
})
