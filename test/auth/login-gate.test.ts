import t from 'tap'
import { LoginGate } from '../../src/auth/login-gate.ts'
import { codeOf } from './refusal.ts'

const wrong = async () => undefined
const right = async () => 'in'

t.test('after a few failures in a row each attempt must wait longer', async t => {
  let now = 1_000_000
  const gate = new LoginGate({ now: () => now })
  for (let i = 0; i < 5; i++) t.equal(await gate.attempt('a@example.com', wrong), undefined)
  t.equal(await codeOf(() => gate.attempt('A@example.com', right)), 'RATE_LIMITED', 'whatever the case, and though the password is right')
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
  for (let i = 0; i < 5; i++) t.equal(await gate.attempt('a@example.com', wrong), undefined, 'a success clears the record')
})

t.test('guesses that come at once are counted one after the other', async t => {
  const gate = new LoginGate()
  let tried = 0
  const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(() => gate.attempt('a', async () => { tried++; return undefined }))))
  t.equal(tried, 5)
  t.equal(codes.filter(code => code === 'RATE_LIMITED').length, 15)
})

t.test('any number of right passwords at once pass, and a fault of ours is not a failure', async t => {
  const gate = new LoginGate()
  t.same(await Promise.all(Array.from({ length: 20 }, () => gate.attempt('a', right))), Array(20).fill('in'))
  for (let i = 0; i < 10; i++) await t.rejects(gate.attempt('a', async () => { throw new Error('database') }))
  t.equal(await gate.attempt('a', right), 'in')
})
