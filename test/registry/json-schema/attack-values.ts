/** Values of every type, for places of which a schema says nothing, and for places where it does. */
export const VALUES: readonly unknown[] = [
  null, true, false, 0, 1, 2, 3, 6, -1, 1.5, 0.1, 0.3, 10, 1e21, '', 'a', 'b', 'ab', 'aab', '1', 'abcdef', '2024-02-29', '192.0.2.1',
  [], [1], [1, 1], ['a', 1], [null], [[]], {}, { a: 1 }, { a: 'a', b: 2 }, { c: null }, { b: {} }, { a: [], zz: 1 }, { S_x: 'a' }
]
