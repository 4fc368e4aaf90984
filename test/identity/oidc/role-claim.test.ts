import t from 'tap'
import { isOverage, rolesFor, valuesOf } from '../../../src/identity/oidc/role-claim.ts'

t.test('the claim is a text, a list, or nested; a claim with the whole name comes first', async t => {
  t.same(valuesOf({ groups: ['a', 'b'] }, 'groups'), ['a', 'b'])
  t.same(valuesOf({ groups: 'a' }, 'groups'), ['a'])
  t.same(valuesOf({ realm_access: { roles: ['a'] } }, 'realm_access.roles'), ['a'])
  t.same(valuesOf({ 'realm_access.roles': 'b', realm_access: { roles: ['a'] } }, 'realm_access.roles'), ['b'])
  t.same(valuesOf({ 'https://example.com/roles': ['a'] }, 'https://example.com/roles'), ['a'])
})

t.test('another type, a missing claim and inherited members grant nothing', async t => {
  for (const groups of [undefined, null, 1, true, {}, { admins: true }, [[['admins']]], [1, null, { admins: 1 }]]) {
    t.same(valuesOf({ groups }, 'groups'), [], JSON.stringify(groups))
  }
  t.same(valuesOf({ groups: ['a', 7, 'b'] }, 'groups'), ['a', 'b'])
  t.same(valuesOf({}, 'constructor.name'), [])
  t.same(valuesOf({ a: ['x'] }, 'a.0'), [])
  t.same(valuesOf({ a: 'x' }, 'a.b.c'), [])
})

t.test('an address counts as a value only if it is verified', async t => {
  t.same(valuesOf({ email: 'ada@example.com', email_verified: true }, 'email'), ['ada@example.com'])
  t.same(valuesOf({ email: 'ada@example.com', email_verified: 'yes' }, 'email'), [])
  t.same(valuesOf({ email: 'ada@example.com' }, 'email'), [])
})

t.test('each role is granted once, by any of the values', async t => {
  const [admin, editor] = [{ role: 'admin', applicationId: null }, { role: 'editor', applicationId: 'app_1' }]
  const map = new Map([['a', [admin]], ['b', [admin, editor]]])
  t.same(rolesFor(['a', 'b', 'c'], map), [admin, editor])
  t.same(rolesFor(['__proto__', 'constructor'], map), [])
})

t.test('a claim that is only named differs from a missing one', async t => {
  t.equal(isOverage({ _claim_names: { groups: 'src1' } }, 'groups'), true)
  t.equal(isOverage({ _claim_names: { groups: 'src1' }, groups: [] }, 'groups'), false)
  t.equal(isOverage({ _claim_names: 'groups' }, 'groups'), false)
  t.equal(isOverage({}, 'groups'), false)
})
