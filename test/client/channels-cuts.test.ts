import { RealtimeClient, type Channel, type Member } from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { lossyNetwork } from '../support/lossy-web-socket.ts'
import { Random } from '../support/random.ts'
import { tenant } from '../support/tenant.ts'
import { pace, until } from '../support/waiting.ts'

/*
 * Clients join, leave and change their states at random while their connections break. Afterwards each sees the members
 * that the server lists. `SEEDS` sets the number of runs, `SEED` the first.
 */

const seeds = Number(process.env['SEEDS'] ?? 5)
const firstSeed = Number(process.env['SEED'] ?? 1)
const steps = 150
const channels = ['chat:1', 'chat:2']

t.setTimeout(seeds * 60_000 + 60_000)

const { app } = await build(t)
const url = await listen(app)

/** The members of a channel, with the fields that the server's list has. */
const view = (members: readonly Member[]) => JSON.stringify(
  members.map(({ socketId, userId, joinedAt, state }) => ({ socketId, userId, joinedAt, state }))
)

for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  t.test(`after cuts, all see the members that the server lists (seed ${seed})`, async t => {
    const random = new Random(seed)
    const shop = await tenant(app)
    await app.db.updateTable('applications').set({ presence_grace_ms: 300 })
      .where('id', '=', shop.applicationId).execute()

    const people = Array.from({ length: 5 }, (_, i) => {
      const network = lossyNetwork()
      const client = new RealtimeClient({
        url,
        // Two share a subject: a connection of one may take over the place of the other.
        token: () => shop.token(['admin'], { subject: `user-${i % 4}` }),
        WebSocket: network.WebSocket,
        reconnectionDelay: 50,
        lingerMs: 10
      })
      t.teardown(() => { client.disconnect(); network.close() })
      return { client, network, joins: channels.map((): (() => void)[] => []) }
    })

    for (let step = 0; step < steps; step++) {
      const { client, network, joins } = random.pick(people)
      const at = random.below(channels.length)
      const room: Channel = client.channel(channels[at] as string)
      const dice = random.below(20)
      if (dice < 7) {
        const hold = new AbortController()
        room.join(random.chance(0.5) ? { step } : undefined, hold).catch((error: unknown) => {
          if (!hold.signal.aborted) t.fail(String(error))
        })
        joins[at]?.push(() => hold.abort())
      } else if (dice < 11) joins[at]?.pop()?.()
      else if (dice < 16) {
        if (room.status !== 'left') room.setState({ step }).catch((error: unknown) => t.fail(String(error)))
      } else if (dice < 18) network.cut()
      else network.desert()
      if (random.chance(0.3)) await pace(random.below(30))
    }

    const before = people.map(({ client }) => client.socketId)
    for (const { network } of people) network.close()
    await until(() => people.every(({ client }, i) =>
      client.state === 'connected' && client.socketId !== before[i]), 'the next connections')
    for (const [at, channel] of channels.entries()) {
      const listed = async () => view((await shop.request('GET', `/api/socket/channels/${channel}/members`)).body)
      const present = people.filter(({ joins }) => (joins[at]?.length ?? 0) > 0).map(({ client }) => client)
      const isQuiet = async () => {
        const list = await listed()
        const rooms = present.map(client => client.channel(channel))
        return rooms.every(({ status, members }) => status === 'joined' && view(members) === list) &&
          (JSON.parse(list) as Member[]).length === present.length
      }
      await until(isQuiet, () => `${channel}: ${JSON.stringify(present.map(client => {
        const { status, members } = client.channel(channel)
        return { id: client.socketId, status, members }
      }), null, 1)}`)
      t.same(
        JSON.parse(await listed()).map(({ socketId }: Member) => socketId).sort(),
        present.map(({ socketId }) => socketId).sort()
      )
      for (const { client, joins } of people) {
        if (joins[at]?.length === 0) t.same(client.channel(channel).members, [])
      }
    }
  })
}
