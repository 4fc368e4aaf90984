import t from 'tap'
import { AccountGate, LoginGate } from '../../../src/identity/auth/login-throttle.ts'
import { codeOf } from './refusal.ts'

const wrong = async () => undefined
const right = async () => 'in'

t.test('after a few failures in a row each attempt must wait longer', async t => {
  let now = 1_000_000
  const gate = new LoginGate({ now: () => now })
  for (let i = 0; i < 5; i++) t.equal(await gate.attempt('a@example.com', wrong), undefined)
  t.equal(await codeOf(() => gate.attempt('a@example.com', right)), 'RATE_LIMITED', 'though the password is right')
  t.equal(await gate.attempt('b@example.com', right), 'in', 'nobody else waits')
  const waits: number[] = []
  for (let i = 0; i < 12; i++) {
    const before = now
    while (await codeOf(() => gate.attempt('a@example.com', wrong)) !== undefined) now += 500
    waits.push(now - before)
  }
  t.same(waits.slice(0, 4), [1000, 2000, 4000, 8000])
  t.equal(waits.at(-1), 300_000, 'but not for ever')
  now += 300_000
  t.equal(await gate.attempt('a@example.com', right), 'in')
  for (let i = 0; i < 5; i++) { t.equal(await gate.attempt('a@example.com', wrong), undefined, 'a success clears the record') }
})

t.test('guesses that come at once are counted one after the other', async t => {
  const gate = new LoginGate()
  let tried = 0
  const codes = await Promise.all(Array.from({ length: 20 }, () =>
    codeOf(() =>
      gate.attempt('a', async () => {
        tried++
        return undefined
      })
    )))
  t.equal(tried, 5)
  t.equal(codes.filter(code => code === 'RATE_LIMITED').length, 15)
})

t.test('any number of right passwords at once pass, and a fault of ours is not a failure', async t => {
  const gate = new LoginGate()
  t.same(await Promise.all(Array.from({ length: 20 }, () => gate.attempt('a', right))), Array(20).fill('in'))
  for (let i = 0; i < 10; i++) await t.rejects(gate.attempt('a', async () => { throw new Error('database') }))
  t.equal(await gate.attempt('a', right), 'in')
})

t.test('an account is gated by network, and by all new networks together', async t => {
  let now = 1_000_000
  const gate = new AccountGate({ what: 'tests', freeOfAccount: 20, now: () => now })
  const from = (network: string, isKnown: boolean, attempt: () => Promise<string | undefined>) =>
    gate.attempt({ account: 'a@example.com', network, isKnown: async () => isKnown }, attempt)
  for (let i = 0; i < 5; i++) await from('stranger', false, wrong)
  t.equal(await codeOf(() => from('stranger', false, right)), 'RATE_LIMITED')
  t.equal(await from('elsewhere', false, right), 'in', 'nobody else waits')
  for (let i = 0; i < 15; i++) await from(`botnet ${i}`, false, wrong)
  t.equal(await codeOf(() => from('new', false, right)), 'RATE_LIMITED', 'from many networks it is slowed down as well')
  t.equal(await from('home', true, right), 'in', 'but not from a known one')
  t.equal(await codeOf(() => from('new', false, right)), 'RATE_LIMITED', 'whose login forgives a stranger nothing')
  for (let i = 0; i < 5; i++) await from('home', true, wrong)
  t.equal(await codeOf(() => from('home', true, right)), 'RATE_LIMITED', 'a known network has its own failures')
  now += 60_000
  t.equal(await from('new', false, right), 'in')
})

t.test('attempts that wait at an account hold up no known network', async t => {
  const gate = new AccountGate({ what: 'tests', freeOfAccount: 1000 })
  let release = () => {}
  const held = new Promise<undefined>(resolve => { release = () => resolve(undefined) })
  const candidate = (network: string, isKnown: boolean) => ({ account: 'a', network, isKnown: async () => isKnown })
  const flood = Array.from(
    { length: 60 },
    (_, i) => codeOf(() => gate.attempt(candidate(`botnet ${i}`, false), () => held))
  )
  t.equal(await gate.attempt(candidate('home', true), right), 'in')
  release()
  t.equal((await Promise.all(flood)).filter(code => code === 'RATE_LIMITED').length, 10)
})
