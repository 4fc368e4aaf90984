import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { steadyPort } from '../../test/support/steady-port.ts'
import { dataFolder, launch, removeFolder, versionOf, type Launch, type Program } from './program.ts'

/*
 * The brokers that Debian packages, each with the settings that make its acknowledgement durable where it has some.
 * Each function returns undefined if the program is not installed.
 */

interface Broker extends Pick<Launch, 'command' | 'argv'> {
  env?: Record<string, string>
  url: string
  version: string
  promise: string
}

/** Starts a broker in a new folder. The folder is deleted when it stops. */
async function start (prepare: (folder: string, port: number) => Promise<Broker>): Promise<Program | undefined> {
  const folder = await dataFolder()
  try {
    const port = await steadyPort()
    const { url, version, promise, ...rest } = await prepare(folder, port)
    const running = await launch({ ...rest, port })
    if (running === undefined) {
      await removeFolder(folder)
      return undefined
    }
    const { cpuSeconds, stop } = running
    return { url, version, promise, cpuSeconds, stop: async () => { await stop(); await removeFolder(folder) } }
  } catch (error) {
    await removeFolder(folder)
    throw error
  }
}

/** Redis that writes and syncs its append-only file before it answers. */
export const startDurableRedis = () => start(async (folder, port) => ({
  command: 'redis-server',
  argv: [
    '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes',
    '--appendfsync', 'always'
  ],
  url: `redis://127.0.0.1:${port}`,
  version: await versionOf('redis-server', ['--version']),
  promise: 'after fsync (`appendfsync always`), one copy'
}))

/** NATS with JetStream. Releases before 2.10 cannot sync before they acknowledge. */
export async function startNats (): Promise<Program | undefined> {
  const version = await versionOf('nats-server', ['--version'])
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const canSync = major > 2 || (major === 2 && minor >= 10)
  return await start(async (folder, port) => {
    const file = join(folder, 'nats.conf')
    await writeFile(file, [
      'host: 127.0.0.1',
      `port: ${port}`,
      'ping_interval: "1h"',
      'jetstream {',
      `  store_dir: ${JSON.stringify(join(folder, 'data'))}`,
      ...canSync ? ['  sync_interval: always'] : [],
      '}',
      ''
    ].join('\n'))
    return {
      command: 'nats-server',
      argv: ['-c', file],
      url: `nats://127.0.0.1:${port}`,
      version,
      promise: canSync
        ? 'after fsync (`sync_interval: always`), one copy'
        : 'written, not synced: this release syncs later and has no `sync_interval: always`'
    }
  })
}

/** Mosquitto with persistence. It saves its state at intervals and on exit, never before it acknowledges. */
export const startMosquitto = () => start(async (folder, port) => {
  const file = join(folder, 'mosquitto.conf')
  await writeFile(file, [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'user root',
    'persistence true',
    `persistence_location ${folder}/`,
    'autosave_interval 1',
    'max_queued_messages 0',
    'log_type error',
    ''
  ].join('\n'))
  const local = '/usr/sbin/mosquitto'
  const command = existsSync(local) ? local : 'mosquitto'
  return {
    command,
    argv: ['-c', file],
    url: `mqtt://127.0.0.1:${port}`,
    version: await versionOf(command, ['-h']),
    promise: 'in memory, saved every second, not synced'
  }
})

/** A RabbitMQ node of its own, with its own port mapper, that shares nothing with an installed service. */
export async function startRabbitMq (): Promise<Program | undefined> {
  const mapperPort = await steadyPort()
  const mapper = await launch({
    command: 'epmd', argv: ['-port', String(mapperPort), '-address', '127.0.0.1'], port: mapperPort
  })
  if (mapper === undefined) return undefined
  try {
    const program = await start((folder, port) => rabbitMq(folder, port, mapperPort))
    if (program === undefined) await mapper.stop()
    return program && { ...program, stop: async () => { await program.stop(); await mapper.stop() } }
  } catch (error) {
    await mapper.stop()
    throw error
  }
}

async function rabbitMq (folder: string, port: number, mapperPort: number): Promise<Broker> {
  await mkdir(join(folder, 'log'))
  await writeFile(join(folder, 'plugins'), '[].\n')
  await writeFile(join(folder, 'rabbitmq.conf'), '')
  // The script in the PATH changes to the account of the service; the one behind it does not.
  const inside = '/usr/lib/rabbitmq/bin'
  const program = (name: string) => existsSync(join(inside, name)) ? join(inside, name) : name
  return {
    command: program('rabbitmq-server'),
    argv: [],
    env: {
      HOME: folder,
      ERL_EPMD_PORT: String(mapperPort),
      RABBITMQ_NODENAME: 'bench@localhost',
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(await steadyPort()),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
      RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
      RABBITMQ_PID_FILE: join(folder, 'pid')
    },
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    version: await versionOf(program('rabbitmqctl'), ['version']),
    promise: 'after fsync of the quorum queue, on its one node'
  }
}
