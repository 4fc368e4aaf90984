import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { createKysely, createPool } from '../../../db/connection.ts'
import { listShape, type ListQuery } from '../../../schemas/lists.ts'
import { pageOfItems } from '../../../src/foundation/lists/item-page.ts'
import { foldedText, List, nullableNumber, nullableText, number, text } from '../../../src/foundation/lists/list.ts'
import { examinedMax, readPage } from '../../../src/foundation/lists/read-page.ts'
import type { PageOf } from '../../../src/foundation/paging.ts'
import { createDatabase } from '../../support/database.ts'
import { codeOf } from '../../support/refusal.ts'

/*
 * Lists in the database and lists in memory must have the same pages. Both are compared with a model: all items, sorted
 * and filtered at once.
 */

interface Item { id: string, name: string, title: string, note: string | null, size: number, usedAt: number | null }

const shape = listShape('items', {
  sorts: ['name', 'id', 'title', 'note', 'size', 'usedAt'], order: 'asc', search: ['name', 'note']
})
type Sort = typeof shape.sorts[number]
type Query = ListQuery<Sort>

const id = text('id')
const list = new List(shape, {
  columns: {
    id, name: text('name'), title: foldedText('title'), note: nullableText('note'), size: number('size'),
    usedAt: nullableNumber('used_at')
  },
  identity: [id]
})

const pool = createPool({ connectionString: await createDatabase(t), max: 2 })
const db = createKysely(pool)
t.before(async () => {
  await pool.query(`create table items (place int not null, id text not null, name text not null, title text not null,
    note text, size bigint not null, used_at bigint, primary key (place, id))`)
})
t.teardown(() => pool.end())

let places = 0

async function store (items: readonly Item[]): Promise<number> {
  const place = places++
  const columns = (['id', 'name', 'title', 'note', 'size', 'usedAt'] as const).map(field =>
    items.map(item => item[field])
  )
  await pool.query(
    `insert into items select ${place}, * from
      unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])`,
    columns
  )
  return place
}

const tables = db.withTables<{ items: { place: number, id: string } }>()
const inDatabase = (place: number) => async (query: Query): Promise<PageOf<string>> =>
  await readPage(tables, list, query, {
    from: tables.selectFrom('items').select('id').where('place', '=', place), toItem: row => row.id
  })

const inMemory = (items: readonly Item[]) => async (query: Query): Promise<PageOf<string>> => {
  const { items: found, nextCursor } = pageOfItems(items, shape, query, {
    valuesOf: item => ({ ...item, title: item.title.toLowerCase() }), idOf: item => item.id
  })
  return { items: found.map(item => item.id), nextCursor }
}

async function walk (read: (query: Query) => Promise<PageOf<string>>, query: Query): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await read({ ...query, ...(cursor !== undefined && { cursor }) })
    ids.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return ids
}

function model (items: readonly Item[], { q, sort = 'name', order = 'asc' }: Query): string[] {
  const sign = order === 'asc' ? 1 : -1
  const valueOf = (item: Item) => sort === 'title' ? item.title.toLowerCase() : item[sort]
  return items
    .filter(({ name, note }) =>
      q === undefined || [name, note ?? ''].some(one => one.toLowerCase().includes(q.toLowerCase()))
    )
    .toSorted((a, b) => {
      const [left, right] = [valueOf(a), valueOf(b)]
      if (left === right) return a.id < b.id ? -sign : sign
      if (left === null) return 1
      if (right === null) return -1
      return left < right ? -sign : sign
    })
    .map(item => item.id)
}

const word = fc.string({ unit: fc.constantFrom('a', 'A', 'b', '%', '_', '\\', "'", 'é', 'É', 'ß', '中'), maxLength: 4 })
const item = fc.record({
  name: word, title: word, note: fc.option(word), size: fc.integer({ min: 0, max: 3 }),
  usedAt: fc.option(fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER))
})
const itemsOf = fc.array(item, { maxLength: 12 }).map(all =>
  all.map((one, i): Item => ({ id: `i${i % 7}-${i}`, ...one }))
)

t.test('pages in memory and in the database are those of the model', async t => {
  await fc.assert(
    fc.asyncProperty(
      itemsOf, fc.constantFrom(...shape.sorts), fc.constantFrom('asc' as const, 'desc' as const),
      fc.integer({ min: 1, max: 5 }), fc.option(word.filter(text => text !== ''), { nil: undefined }),
      async (items, sort, order, limit, q) => {
        const query = { sort, order, limit, ...(q !== undefined && { q }) }
        const expected = model(items, query)
        t.strictSame(await walk(inMemory(items), query), expected, 'in memory')
        t.strictSame(await walk(inDatabase(await store(items)), query), expected, 'in the database')
        if (!t.passing()) throw new Error('differs')
      }
    ),
    { numRuns: 300 }
  )
})

t.test('each unchanged item is on one page while others come and go', async t => {
  for (const sort of shape.sorts) {
    for (const order of ['asc', 'desc'] as const) {
      const items = Array.from({ length: 30 }, (_, i): Item => ({
        id: `id${i}`, name: `n${i % 5}`, title: `T${i % 3}`, note: i % 4 === 0 ? null : `x${i % 6}`, size: i % 7,
        usedAt: i % 3 === 0 ? null : i % 8
      }))
      const place = await store(items)
      const read = inDatabase(place)
      let turn = 0
      const seen = await walk(async query => {
        const page = await read(query)
        const gone = items[turn * 2]
        turn++
        await pool.query('delete from items where place = $1 and id = $2', [place, gone?.id])
        await pool.query(
          'insert into items values ($1, $2, $3, $4, $5, $6, $7)',
          [
            place, `new${turn}`, `n${turn % 6}`, `T${turn % 4}`, turn % 2 === 0 ? null : `x${turn}`, turn % 9,
            turn % 2 === 0 ? null : turn
          ]
        )
        return page
      }, { sort, order, limit: 3 })
      t.equal(new Set(seen).size, seen.length, `${sort} ${order}: nothing twice`)
      const stable = items.filter((_, i) => i % 2 === 1 || i >= turn * 2).map(({ id }) => id)
      t.same(stable.filter(one => !seen.includes(one)), [], `${sort} ${order}: nothing missing`)
    }
  }
})

t.test('a page examines a limited number of rows and leads on from there', async t => {
  const place = places++
  await pool.query(
    `insert into items select $1, 'i' || lpad(n::text, 6, '0'), case when n % 17000 = 0 then 'Rare' else 'n' end, '',
      null, 0, null from generate_series(1, 50000) n`,
    [place]
  )
  const pages: number[] = []
  const read = inDatabase(place)
  const found = await walk(async query => {
    const page = await read(query)
    pages.push(page.items.length)
    return page
  }, { q: 'rare', sort: 'id' })
  t.same(found, ['i017000', 'i034000'])
  t.same(pages, [1, 1, 0], `50,000 rows are three pages of ${examinedMax}`)
  t.same(await walk(read, { q: 'rare', sort: 'id', order: 'desc', limit: 1 }), ['i034000', 'i017000'])
})

t.test('a page of large rows ends early', async t => {
  const items = [5, 1, 5, 5, 100, 1, 1].map((size, i): Item => ({
    id: `i${i}`, name: i % 2 === 0 ? 'even' : 'odd', title: '', note: null, size, usedAt: null
  }))
  const place = await store(items)
  const pagesOf = async (query: Query) => {
    const pages: string[][] = []
    await walk(async given => {
      const page = await readPage(tables, list, given, {
        from: tables.selectFrom('items').select(['id', sql`size`.as('size')]).where('place', '=', place),
        size: { bytes: sql.ref('size'), max: 6 }, toItem: row => row.id
      })
      pages.push(page.items)
      return page
    }, query)
    return pages
  }
  t.same(await pagesOf({ sort: 'id', limit: 3 }), [['i0', 'i1'], ['i2', 'i3'], ['i4'], ['i5', 'i6']])
  t.same(await pagesOf({ sort: 'id', limit: 100, q: 'even' }), [['i0', 'i2'], ['i4'], ['i6']])
})

t.test('a cursor of another list gets 400', async t => {
  const items = [{ id: 'a', name: 'n', title: '', note: null, size: 1, usedAt: null }, {
    id: 'b', name: 'n', title: '', note: null, size: 1, usedAt: null
  }]
  const place = await store(items)
  const { nextCursor = '' } = await inDatabase(place)({ limit: 1, sort: 'usedAt' })
  t.same((await inDatabase(place)({ limit: 1, sort: 'usedAt', cursor: nextCursor })).items, ['b'], 'a null goes on')
  for (const sort of ['id', 'size', 'name'] as const) {
    t.equal(await codeOf(() => inDatabase(place)({ sort, cursor: nextCursor })), 'VALIDATION_FAILED', sort)
  }
  t.equal(await codeOf(() => inMemory(items)({ cursor: 'x' })), 'VALIDATION_FAILED')
})

t.test('statements of lists are not prepared: their number has no limit', async t => {
  const client = await pool.connect()
  t.teardown(() => client.release())
  const { rows } = await client.query(
    'select statement from pg_prepared_statements where statement like $1', ['%listPlace%']
  )
  t.same(rows, [])
})
