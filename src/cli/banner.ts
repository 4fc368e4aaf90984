import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import { version } from '../foundation/version.ts'

/** Returns the URL under which this machine reaches the server. */
export function listeningUrl ({ server, config }: FastifyInstance): string {
  const address = server.address()
  const { host: wanted, port: wantedPort } = config.http
  const host = ['0.0.0.0', '::'].includes(wanted) ? '127.0.0.1' : wanted.includes(':') ? `[${wanted}]` : wanted
  return `http://${host}:${typeof address === 'object' && address !== null ? address.port : wantedPort}`
}

/** Returns the text for a terminal after a start: the URLs, and how to get a first token. */
export async function banner (app: FastifyInstance): Promise<string> {
  const local = listeningUrl(app)
  const url = app.config.http.publicUrl ?? local
  const lines = [
    '',
    `  Realtime Platform ${version} is ready`,
    '',
    `  REST and docs   ${url}/docs`,
    `  Socket.IO       ${url}/socket.io`,
    `  WebSocket       ${url.replace(/^http/, 'ws')}/ws`,
    `  Database        ${
      app.config.database.embedded ? `embedded PostgreSQL in ${app.config.database.dataDir}` : 'DATABASE_URL'
    }`,
    ...(app.config.database.embedded ? [`  Demo database   ${demoDatabase(app.config.database)}`] : []),
    '',
    ...(await app.setup.isRequired() ? firstSteps(local, app) : [`  Log in          POST ${url}/api/auth/login`]),
    ''
  ]
  return `${lines.join('\n')}\n`
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
function firstSteps (url: string, { setup, config }: FastifyInstance): string[] {
  const { token } = setup
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
