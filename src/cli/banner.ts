import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import { version } from '../foundation/version.ts'
import type { Announcement } from './worker-protocol.ts'

/** Returns the URL under which this machine reaches the server. */
export function listeningUrl ({ server, config }: FastifyInstance): string {
  const address = server.address()
  const { host: wanted, port: wantedPort } = config.http
  const host = ['0.0.0.0', '::'].includes(wanted) ? '127.0.0.1' : wanted.includes(':') ? `[${wanted}]` : wanted
  return `http://${host}:${typeof address === 'object' && address !== null ? address.port : wantedPort}`
}

/** Returns what to print after a start. */
export async function announcementOf (app: FastifyInstance): Promise<Announcement> {
  const isSetupRequired = await app.setup.isRequired()
  const { token } = app.setup
  return {
    url: listeningUrl(app), isSetupRequired, ...(isSetupRequired && token !== undefined && { setupToken: token })
  }
}

/** Returns the text for a terminal after a start: the URLs, and how to get a first token. */
export function banner (config: Config, announcement: Announcement): string {
  const { url: local, isSetupRequired } = announcement
  const url = config.http.publicUrl ?? local
  const lines = [
    '',
    `  Realtime Platform ${version} is ready`,
    '',
    `  REST and docs   ${url}/docs`,
    `  Socket.IO       ${url}/socket.io`,
    `  WebSocket       ${url.replace(/^http/, 'ws')}/ws`,
    `  Database        ${
      config.database.embedded ? `embedded PostgreSQL in ${config.database.dataDir}` : 'DATABASE_URL'
    }`,
    ...(config.database.embedded ? [`  Demo database   ${demoDatabase(config.database)}`] : []),
    ...coresLine(config.workers),
    '',
    ...(isSetupRequired ? firstSteps(announcement, config) : [`  Log in          POST ${url}/api/auth/login`]),
    ''
  ]
  return `${lines.join('\n')}\n`
}

/** On a machine with several cores: how many the server uses, and how to use more. */
function coresLine ({ count, cores }: Config['workers']): string[] {
  if (cores === 1) return []
  return [`  Processes       ${count} on ${cores} cores${count === 1 ? `. WORKERS=${cores} uses them all` : ''}`]
}

/** The connection string to pass to `PUT /api/database/connection`, to try change data capture. */
function demoDatabase ({ url = '', dataDir }: Config['database']): string {
  const { username, host } = new URL(url)
  return `postgres://${username}:<the password in ${join(dataDir, 'postgres-password')}>@${host}/demo`
}

/**
 * Uses the local address. Through a proxy, the first user needs the setup token, so the body has it if a proxy is
 * trusted.
 */
function firstSteps ({ url, setupToken: token }: Announcement, config: Config): string[] {
  const user = {
    name: 'Ada',
    email: 'ada@example.com',
    password: 'a long pass phrase',
    ...(config.http.trustProxy.length > 0 && { setupToken: token })
  }
  return [
    '  Nobody has set it up yet. The first user, an application and a token:',
    '',
    `    curl ${url}/api/auth/setup -H 'content-type: application/json' \\`,
    `      -d '${JSON.stringify(user)}'            # returns a sessionToken`,
    `    curl ${url}/api/applications -H 'authorization: <sessionToken>' -H 'content-type: application/json' \\`,
    '      -d \'{"name":"Shop"}\'',
    `    curl ${url}/auth/token -H 'authorization: <sessionToken>' -H 'content-type: application/json' \\`,
    '      -d \'{"applicationId":"<app_…>","permissions":["admin"]}\'',
    '',
    ...(token === undefined
      ? []
      : [`  From another machine or through a proxy, setup needs "setupToken": "${token}"`, '']),
    '  Or see it all at work in ten seconds:  npm run demo'
  ]
}
