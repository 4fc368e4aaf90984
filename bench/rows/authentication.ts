import type { RequestsLoad } from '../load/requests.ts'
import { alternate, spread } from '../measure.ts'
import { withCast, type Row } from '../row.ts'

const connections = 50
// Many short rounds: the difference is smaller than the noise of the machine.
const rounds = 41
const roundSeconds = 0.4

/** Measures the cost of authentication with a known key and token: a minimal route, with and without it. */
export const authentication: Row = {
  name: 'authentication',
  run: context =>
    withCast(context, async cast => {
      const platform = await cast.platform()
      const aim = async (path: string) => {
        const load = await cast.load<RequestsLoad>('load/requests')
        await load.call('aim', {
          url: platform.url, token: platform.token, method: 'GET', paths: [path], connections, status: 200,
          contains: '"ok"'
        })
        return async () => {
          // CPU time of the server only, because the clients share its cores.
          const before = await platform.child.call('cpuSeconds')
          const { requests } = await load.call('round', roundSeconds)
          return requests / (await platform.child.call('cpuSeconds') - before)
        }
      }
      const pair = await alternate(rounds, await aim('/bench/guarded'), await aim('/bench/open'))
      return [{
        row: 'authentication',
        what: 'GET a minimal route, with authentication, against the same route without',
        unit: 'requests/CPU s',
        ...pair,
        goal: { ratio: 0.9 },
        note: spread(pair)
      }]
    })
}
