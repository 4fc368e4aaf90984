import t from 'tap'
import { HashingQueue } from '../../src/auth/hashing-queue.ts'
import { codeOf } from './refusal.ts'

/** Work that ends when it is told to, in the order in which it was started. */
function bench () {
  const queue = new HashingQueue({ runningMax: 3, runningOthersMax: 2, waitingOfOwnerMax: 5, waitingLoginsMax: 8, waitingOthersMax: 8 })
  const started: string[] = []
  const ends: (() => void)[] = []
  const ask = (owner: string, isLogin: boolean) => codeOf(() => queue.run({ owner, isLogin }, () => {
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

t.test('a flood of one owner is refused alone, and leaves a place for logins', async t => {
  const { started, ask, settle, finish } = bench()
  const flood = Array.from({ length: 20 }, () => ask('flooder', false))
  const login = ask('home', true)
  const other = ask('neighbour', false)
  await settle()
  t.same(started, ['flooder', 'flooder', 'home'], 'the third place is for logins')
  await finish()
  await finish()
  t.same(started.slice(3, 5), ['flooder', 'neighbour'], 'owners take turns')
  for (let i = 0; i < 20; i++) await finish()
  t.equal((await Promise.all(flood)).filter(code => code === 'RATE_LIMITED').length, 13)
  t.same([await login, await other], [undefined, undefined])
})

t.test('a flood of logins leaves turns for everything else', async t => {
  const { started, ask, finish } = bench()
  const logins = Array.from({ length: 11 }, (_, i) => ask(`network ${i}`, true))
  const refused = ask('one too many', true)
  const other = ask('admin', false)
  t.equal(await refused, 'OVERLOADED')
  await finish()
  t.equal(started.at(-1), 'admin')
  for (let i = 0; i < 20; i++) await finish()
  t.same(await Promise.all([...logins, other]), Array(12).fill(undefined))
})

t.test('work that fails gives its place back', async t => {
  const queue = new HashingQueue({ runningMax: 1, runningOthersMax: 1, waitingOfOwnerMax: 5, waitingLoginsMax: 8, waitingOthersMax: 8 })
  await t.rejects(queue.run({ owner: 'a', isLogin: true }, async () => { throw new Error('fault') }))
  t.equal(await queue.run({ owner: 'a', isLogin: true }, async () => 1), 1)
})
