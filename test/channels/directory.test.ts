import t from 'tap'
import { Directory } from '../../src/channels/directory.ts'

const scope = { applicationId: 'app_a', environment: 'development' as const }

t.test('channel names are sorted once, until a channel opens or closes', async t => {
  const directory = new Directory()
  const names = Array.from({ length: 300 }, (_, i) => `room${i}`)
  const channels = names.map(name => directory.openChannel(scope, name))
  const sort = t.capture(Array.prototype as Pick<unknown[], 'sort'>, 'sort', Array.prototype.sort)
  const sortsOf = (most: number) => sort().filter(({ receiver }) => (receiver as unknown[]).length === most).length
  const listed = () => {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = directory.channels(scope, { limit: 7, ...(cursor !== undefined && { cursor }) })
      found.push(...page.items.map(({ name }) => name))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return found
  }
  const inOrder = names.toSorted()
  t.same(listed(), inOrder)
  t.same(listed(), inOrder)
  t.equal(sortsOf(300), 1)
  directory.openChannel(scope, 'a-new-one')
  t.same(listed(), ['a-new-one', ...inOrder])
  directory.closeIfEmpty(channels[0] as typeof channels[number])
  t.same(listed(), ['a-new-one', ...inOrder.filter(name => name !== 'room0')])
  t.same(directory.channels({ ...scope, environment: 'staging' }, {}).items, [])
})
