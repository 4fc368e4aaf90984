import { connectWs } from '../../test/support/clients.ts'
import { call, made } from '../../test/support/rest.ts'
import { dataFolder, launch } from '../../test/support/server-process.ts'
import { administrator, setUp } from '../../test/support/shop.ts'
import { median, type Measurement } from '../measure.ts'
import type { Row } from '../row.ts'

const rounds = 5
const topic = 'bench.start'

/**
 * Measures the time from the command to the first event that a subscriber receives: the first start of a data folder,
 * with initdb and setup, and later starts.
 */
export const start: Row = {
  name: 'start',
  run: async () => {
    const firsts: number[] = []
    const laters: number[] = []
    for (let i = 0; i < rounds; i++) {
      const { first, later } = await firstAndLater()
      firsts.push(first)
      laters.push(later)
    }
    return [toMeasurement('first run', firsts, 6), toMeasurement('later run', laters, 2.5)]
  }
}

async function firstAndLater (): Promise<{ first: number, later: number }> {
  const teardowns: (() => Promise<void> | void)[] = []
  const dataDir = await dataFolder({ teardown: work => { teardowns.push(work) } })
  try {
    const first = await secondsToEvent(dataDir, async url => {
      const { token } = await setUp(url)
      await made(
        call('POST', `${url}/api/topics`, { token, body: { name: topic, description: 'A start', owner: 'bench' } })
      )
      return token
    })
    const { email, password } = administrator
    const later = await secondsToEvent(dataDir, async url => {
      const { sessionToken } = await made<{ sessionToken: string }>(
        call('POST', `${url}/api/auth/login`, { body: { email, password } })
      )
      const [application] = await made<{ id: string }[]>(
        call('GET', `${url}/api/applications`, { token: sessionToken })
      )
      const { token } = await made<{ token: string }>(
        call('POST', `${url}/auth/token`, {
          token: sessionToken,
          body: { applicationId: application?.id, permissions: ['admin'] }
        })
      )
      return token
    })
    return { first, later }
  } finally {
    for (const teardown of teardowns) await teardown()
  }
}

async function secondsToEvent (dataDir: string, enter: (url: string) => Promise<string>): Promise<number> {
  const begin = performance.now()
  const server = launch({ dataDir })
  try {
    const { url } = await server.ready()
    const token = await enter(url)
    const client = await connectWs(url, { token })
    await client.request('subscribe', { topic })
    await made(call('POST', `${url}/api/topics/${topic}/events`, { token, body: { payload: { n: 1 } } }))
    await client.received(1)
    const seconds = (performance.now() - begin) / 1000
    client.close()
    return seconds
  } finally {
    server.kill('SIGTERM')
    await server.exit
  }
}

function toMeasurement (what: string, seconds: number[], most: number): Measurement {
  return {
    row: 'start',
    what: `${what}, from the command to the first event delivered`,
    unit: 's',
    platform: median(seconds),
    bare: undefined,
    ratio: undefined,
    goal: { most },
    note: `${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)}`
  }
}
