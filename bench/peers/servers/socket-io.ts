import { createAdapter as createPostgresAdapter } from '@socket.io/postgres-adapter'
import { createAdapter as createStreamsAdapter } from '@socket.io/redis-streams-adapter'
import { fastify } from 'fastify'
import { Redis } from 'ioredis'
import pg from 'pg'
import { Server } from 'socket.io'
import { answerCalls } from '../../children.ts'

/* Socket.IO with connection state recovery, as its documentation sets it up, with one of two adapters. */

const app = fastify()
const room = 'bench'
let io: Server
const closing: (() => Promise<unknown>)[] = []

async function start (adapter: 'redis-streams' | 'postgres', url: string): Promise<{ url: string }> {
  io = new Server(app.server, {
    serveClient: false,
    connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true },
    adapter: adapter === 'postgres' ? await postgres(url) : streams(url)
  })
  io.on('connection', socket => { if (!socket.recovered) void socket.join(room) })
  app.post<{ Body: number[] }>('/events', async request => {
    for (const n of request.body) io.to(room).emit('event', { n })
    return { ok: true }
  })
  return { url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

function streams (url: string) {
  const client = new Redis(url)
  closing.push(() => client.quit())
  return createStreamsAdapter(client, { streamName: `bench-${process.pid}` })
}

async function postgres (url: string) {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  closing.push(() => pool.end())
  await pool.query(`create table if not exists socket_io_attachments (
    id bigserial unique, created_at timestamptz default now(), payload bytea)`)
  return createPostgresAdapter(pool)
}

const methods = { start }
export type RecoveringSocketIo = typeof methods
answerCalls(methods, async () => {
  await io.close()
  for (const close of closing) await close()
})
