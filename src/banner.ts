import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'

/** What a newcomer needs to see when the server has started: where it is, and how to get a first token. */
export async function banner (app: FastifyInstance): Promise<string> {
  const address = app.server.address()
  const host = app.config.http.host === '0.0.0.0' ? '127.0.0.1' : app.config.http.host
  const port = typeof address === 'object' && address !== null ? address.port : app.config.http.port
  const url = app.config.http.publicUrl ?? `http://${host}:${port}`
  const lines = [
    '',
    '  Realtime Platform is ready',
    '',
    `  REST and docs   ${url}/docs`,
    `  Socket.IO       ${url}/socket.io`,
    `  WebSocket       ${url.replace(/^http/, 'ws')}/ws`,
    `  Database        ${app.config.database.embedded ? `embedded PostgreSQL in ${app.config.database.dataDir}` : 'DATABASE_URL'}`,
    ...(app.config.database.embedded ? [`  Demo database   ${demoDatabase(app.config.database)}`] : []),
    '',
    ...(await app.auth.setup.isRequired() ? firstSteps(url, app.auth.setup.token) : [`  Log in          POST ${url}/api/auth/login`]),
    ''
  ]
  return `${lines.join('\n')}\n`
}

/** To be connected by `PUT /api/database/connection`: change data capture works out of the box. */
function demoDatabase ({ url = '', dataDir }: Config['database']): string {
  const { username, host } = new URL(url)
  return `postgres://${username}:<the password in ${join(dataDir, 'postgres-password')}>@${host}/demo`
}

const firstSteps = (url: string, setupToken: string | undefined) => [
  '  Nobody has set it up yet. The first user, an application and a token:',
  '',
  `    curl ${url}/api/auth/setup -H 'content-type: application/json' \\`,
  '      -d \'{"name":"Ada","email":"ada@example.com","password":"a long pass phrase"}\'',
  `    curl ${url}/api/auth/login -H 'content-type: application/json' \\`,
  '      -d \'{"email":"ada@example.com","password":"a long pass phrase"}\'            # answers a sessionToken',
  `    curl ${url}/api/applications -H 'authorization: <sessionToken>' -H 'content-type: application/json' -d '{"name":"Shop"}'`,
  `    curl ${url}/auth/token -H 'authorization: <sessionToken>' -H 'content-type: application/json' \\`,
  '      -d \'{"applicationId":"<app_…>","permissions":["admin"]}\'',
  '',
  ...(setupToken === undefined ? [] : [`  From another machine, and by a proxy, setup needs "setupToken": ${setupToken}`, '']),
  '  Or see it all at work in ten seconds:  npm run demo'
]
