import t from 'tap'
import { AccountThrottle, LoginThrottle } from '../../../src/identity/auth/login-throttle.ts'
import { codeOf } from '../../support/refusal.ts'

const wrong = async () => undefined
const right = async () => 'in'

t.test('after a few failures in a row, each failure lengthens the delay', async t => {
  let now = 1_000_000
  const throttle = new LoginThrottle({ now: () => now })
  for (let i = 0; i < 5; i++) t.equal(await throttle.attempt('a@example.com', wrong), undefined)
  t.equal(await codeOf(() => throttle.attempt('a@example.com', right)), 'RATE_LIMITED', 'even with the right password')
  t.equal(await throttle.attempt('b@example.com', right), 'in', 'other accounts are not delayed')
  const waits: number[] = []
  for (let i = 0; i < 12; i++) {
    const before = now
    while (await codeOf(() => throttle.attempt('a@example.com', wrong)) !== undefined) now += 500
    waits.push(now - before)
  }
  t.same(waits.slice(0, 4), [1000, 2000, 4000, 8000])
  t.equal(waits.at(-1), 300_000, 'the delay is limited')
  now += 300_000
  t.equal(await throttle.attempt('a@example.com', right), 'in')
  for (let i = 0; i < 5; i++) {
    t.equal(await throttle.attempt('a@example.com', wrong), undefined, 'a success clears the failures')
  }
})

t.test('concurrent guesses are counted one by one', async t => {
  const throttle = new LoginThrottle()
  let tried = 0
  const codes = await Promise.all(Array.from({ length: 20 }, () =>
    codeOf(() =>
      throttle.attempt('a', async () => {
        tried++
        return undefined
      })
    )))
  t.equal(tried, 5)
  t.equal(codes.filter(code => code === 'RATE_LIMITED').length, 15)
})

t.test('concurrent right passwords succeed, and an internal error is not a failure', async t => {
  const throttle = new LoginThrottle()
  t.same(await Promise.all(Array.from({ length: 20 }, () => throttle.attempt('a', right))), Array(20).fill('in'))
  for (let i = 0; i < 10; i++) await t.rejects(throttle.attempt('a', async () => { throw new Error('database') }))
  t.equal(await throttle.attempt('a', right), 'in')
})

t.test('an account is limited by network, and over all new networks together', async t => {
  let now = 1_000_000
  const throttle = new AccountThrottle({ what: 'tests', freeOfAccount: 20, now: () => now })
  const from = (network: string, isKnown: boolean, attempt: () => Promise<string | undefined>) =>
    throttle.attempt({ account: 'a@example.com', network, isKnown: async () => isKnown }, attempt)
  for (let i = 0; i < 5; i++) await from('stranger', false, wrong)
  t.equal(await codeOf(() => from('stranger', false, right)), 'RATE_LIMITED')
  t.equal(await from('elsewhere', false, right), 'in', 'other accounts are not delayed')
  for (let i = 0; i < 15; i++) await from(`botnet ${i}`, false, wrong)
  t.equal(await codeOf(() => from('new', false, right)), 'RATE_LIMITED', 'guessing from many networks is slowed down')
  t.equal(await from('home', true, right), 'in', 'a known network is not delayed')
  t.equal(await codeOf(() => from('new', false, right)), 'RATE_LIMITED', 'its login keeps the failures of strangers')
  for (let i = 0; i < 5; i++) await from('home', true, wrong)
  t.equal(await codeOf(() => from('home', true, right)), 'RATE_LIMITED', 'a known network has failures of its own')
  now += 60_000
  t.equal(await from('new', false, right), 'in')
})

t.test('waiting attempts at an account do not block a known network', async t => {
  const throttle = new AccountThrottle({ what: 'tests', freeOfAccount: 1000 })
  let release = () => {}
  const held = new Promise<undefined>(resolve => { release = () => resolve(undefined) })
  const candidate = (network: string, isKnown: boolean) => ({ account: 'a', network, isKnown: async () => isKnown })
  const flood = Array.from(
    { length: 60 },
    (_, i) => codeOf(() => throttle.attempt(candidate(`botnet ${i}`, false), () => held))
  )
  t.equal(await throttle.attempt(candidate('home', true), right), 'in')
  release()
  t.equal((await Promise.all(flood)).filter(code => code === 'RATE_LIMITED').length, 10)
})
