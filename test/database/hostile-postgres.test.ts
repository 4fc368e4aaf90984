import t from 'tap'
import type { ConnectionTest } from '../../schemas/database.ts'
import { build } from '../build.ts'
import { tenant } from '../tenant.ts'
import { beforeTheSession, duringAQuery } from './hostile-scenarios.ts'
import { startHostileServer } from './hostile-server.ts'

/* A server that is no PostgreSQL, or a bad one, ends the conversation with itself and nothing else. */

t.setTimeout(120_000)

const { app } = await build(t)
const scenarios = Object.entries({ ...beforeTheSession, ...duringAQuery })
/** A third party's words would be these: of OpenSSL, of Node, of the libraries. */
const foreignWords = /ssl3|openssl|ERR_|out of range|Cannot read|NaN|undefined|is not a function|Received unexpected|SASL:/i

await t.test('a connection test survives each of them, says what is wrong, and the server goes on', async t => {
  const own = await tenant(app)
  await Promise.all(scenarios.map(async ([name, scenario]) => {
    const server = await startHostileServer(t, scenario)
    const { status, body } = await own.request('POST', '/api/database/connection/test', { connectionString: server.url })
    t.equal(status, 200, name)
    const { ok, checks } = body as ConnectionTest
    t.notOk(ok, `${name}: ${checks.at(-1)?.message.slice(0, 200)}`)
    t.notMatch(checks.map(check => check.message).join('\n'), foreignWords, name)
    t.equal((await app.inject('/health')).statusCode, 200)
  }))
})
