import { commonHelp, commonOptions, expectAtMost, Failed, text, UsageError, type Command } from '../command.ts'
import { fail, ok, reasonOf, skip, warn, type Check, type Outcome } from '../doctor/check.ts'
import { checkToken } from '../doctor/credential.ts'
import { checkCors, checkDns, checkReadiness, checkTls, reach } from '../doctor/server.ts'
import { checkConnection, checkRoundTrip, checkSocketIo, checkUpgrade } from '../doctor/sockets.ts'
import { settings, type Profile } from '../settings.ts'
import { print, printable, styled } from '../terminal.ts'
import { version } from '../version.ts'

export const doctor: Command = {
  summary: 'Check the connection to the platform, and say what to change',
  usage: '[--origin <origin>] [--topic <topic>] [--json]',
  options: {
    ...commonOptions, origin: { type: 'string' }, topic: { type: 'string' }, json: { type: 'boolean' }
  },
  help: `  --origin <origin>     Check that pages of this origin may call the server (CORS)
  --topic <topic>       Publish five events of a test to this topic, and wait for them
  --json                Print the result as JSON
${commonHelp}

Exits with 1 if a check fails. Warnings do not fail.`,

  async run (values, positionals) {
    expectAtMost(positionals, 0)
    const origin = text(values['origin'])
    if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).origin !== origin)) {
      throw new UsageError(`--origin is the origin of a page, such as https://app.example.com, not "${origin}"`)
    }
    const profile = await settings(values)
    const isJson = values['json'] === true
    const checks: Check[] = []
    if (!isJson) await print(`Checking ${profile.url}\n`)
    for await (const check of runChecks(profile, origin, text(values['topic']))) {
      checks.push(check)
      if (!isJson) await print(format(check))
    }
    const failed = checks.filter(({ status }) => status === 'fail').length
    const warned = checks.filter(({ status }) => status === 'warn').length
    if (isJson) await print(JSON.stringify({ url: profile.url, ok: failed === 0, checks }, null, 2))
    else await print(`\n${summary(failed, warned)}`)
    if (failed > 0) throw new Failed('')
  }
}

async function * runChecks (profile: Profile, origin: string | undefined, topic: string | undefined) {
  const { url } = profile
  yield named('versions', checkVersions())
  const dns = await attempt('dns', checkDns(new URL(url)))
  yield dns
  if (dns.status === 'fail') return
  const tls = await attempt('tls', checkTls(new URL(url)))
  yield tls
  if (tls.status === 'fail') return
  const { health, clock, latency } = await reach(url)
  yield named('server', health)
  if (clock === undefined || latency === undefined) return
  yield await attempt('readiness', checkReadiness(url))
  yield named('clock', clock)
  yield named('latency', latency)
  const token = await attempt('token', checkToken(profile))
  yield token
  const upgrade = await attempt('websocket', checkUpgrade(url))
  yield upgrade
  yield await attempt('socket.io', checkSocketIo(url))
  const canConnect = token.status !== 'fail' && upgrade.status !== 'fail'
  const connection = canConnect
    ? await attempt('connection', checkConnection(profile))
    : named('connection', skip('needs a valid token and WebSocket'))
  yield connection
  yield connection.status === 'ok'
    ? await attempt('round trip', checkRoundTrip(profile, topic))
    : named('round trip', skip('needs a connection'))
  yield origin === undefined
    ? named('cors', skip('name the origin of your pages with --origin'))
    : await attempt('cors', checkCors(url, origin))
}

const named = (name: string, outcome: Outcome): Check => ({ name, ...outcome })

async function attempt (name: string, outcome: Promise<Outcome>): Promise<Check> {
  return named(name, await outcome.catch((error: unknown) =>
    fail(reasonOf(error), 'Try again; look for an unstable network or proxy')))
}

function checkVersions (): Outcome {
  const { node } = process.versions
  const [major = 0, minor = 0] = node.split('.').map(Number)
  const text = `Node ${node}, @realtime-platform/client ${version}`
  return major > 20 || (major === 20 && minor >= 19) ? ok(text) : warn(text, 'Use Node 20.19 or later')
}

const styles = { ok: 'green', warn: 'yellow', fail: 'red', skip: 'dim' } as const

function format ({ name, status, message, advice }: Check): string {
  const line = `${styled(styles[status], status.padEnd(5))} ${name.padEnd(11)} ${printable(message)}`
  return advice === undefined ? line : `${line}\n${' '.repeat(18)}→ ${advice}`
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`

function summary (failed: number, warned: number): string {
  const warnings = warned === 0 ? '' : `, ${count(warned, 'warning')}`
  return failed === 0 ? `No problem found${warnings}.` : `${count(failed, 'check')} failed${warnings}.`
}
