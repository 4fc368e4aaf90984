import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Deployment, type IDeployment } from 'kubernetes-models/apps/v1'
import { PodDisruptionBudget, type IPodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { Service as KubernetesService, type IService as IKubernetesService } from 'kubernetes-models/v1'
import type pg from 'pg'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { createConfig } from '../../src/config.ts'
import { EnvironmentVariables } from '../../src/config/environment-variables.ts'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { read, root } from '../support/repository.ts'
import { tenant } from '../support/tenant.ts'

/* Reads the deployment files, because no test starts a container: checks that their parts exist and fit together. */

interface Service {
  build?: string
  image?: string
  environment?: Record<string, string>
  command?: string[]
  volumes?: string[]
  expose?: string[]
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: object
  stop_grace_period?: string
  mem_limit?: string
}
interface PodTemplate {
  spec: {
    terminationGracePeriodSeconds: number
    containers: { env: { name: string, value?: string }[], [more: string]: unknown }[]
  }
}
interface Compose {
  services: Record<string, Service>
  volumes: Record<string, unknown>
  networks: { platform: { ipam: { config: { subnet: string }[] } } }
}

const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose
const dockerfile = read('Dockerfile')
const nginx = read('deploy/nginx/realtime.conf')
const page = read('docs/DEPLOYMENT.md')
const nodes = Object.entries(compose.services).filter(([, { build }]) => build !== undefined)
const names = new Set(Object.keys(EnvironmentVariables.properties))

/** Expands variables like a shell, with a value for each required one. */
const substituted = (text: string) =>
  text.replaceAll(
    /\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}/g,
    (_, name: string, fallback?: string) =>
      fallback ?? (name === 'ENCRYPTION_KEY' ? Buffer.alloc(32).toString('base64') : 'given')
  )

t.test('the compose file has two nodes, a proxy, PostgreSQL with logical decoding, and Redis', async t => {
  t.equal(nodes.length, 2)
  t.same(Object.keys(compose.services).sort(), ['node-1', 'node-2', 'postgres', 'proxy', 'redis'])
  t.ok(compose.services['postgres']?.command?.includes('wal_level=logical'))
  for (const [name, { depends_on: needs = {}, volumes = [] }] of Object.entries(compose.services)) {
    for (const [other, { condition }] of Object.entries(needs)) {
      const needed = compose.services[other]
      t.ok(
        needed !== undefined && (needed.build !== undefined || needed.healthcheck !== undefined),
        `${name} waits for ${other}, which has a health check`
      )
      t.equal(condition, 'service_healthy')
    }
    for (const volume of volumes) {
      const [from = ''] = volume.split(':')
      t.ok(from.startsWith('./') ? existsSync(join(root, from)) : from in compose.volumes, `${name}: ${volume}`)
    }
  }
})

t.test('the nodes of the compose file have known variables, with values that a node starts with', async t => {
  for (const [name, { build, environment = {}, stop_grace_period: grace = '' }] of nodes) {
    t.ok(existsSync(join(root, String(build), 'Dockerfile')), name)
    for (const variable of Object.keys(environment)) {
      t.ok(names.has(variable) || variable === 'NODE_OPTIONS', `${name}: ${variable}`)
    }
    const config = createConfig(
      Object.fromEntries(Object.entries(environment).map(([variable, value]) => [variable, substituted(value)]))
    )
    t.ok(config.isProduction)
    t.equal(new URL(String(config.database.url)).hostname, 'postgres')
    t.equal(new URL(String(config.redis.url)).hostname, 'redis')
    t.same(
      config.http.trustProxy, compose.networks.platform.ipam.config.map(({ subnet }) => subnet),
      'the proxy is in the trusted network'
    )
    t.ok(Number.parseInt(grace) * 1000 > config.shutdownTimeoutMs, 'the stop has enough time')
  }
})

t.test('the proxy balances over the nodes, forwards upgrades, and overwrites forwarded headers of clients', async t => {
  const upstreams = [...nginx.matchAll(/^upstream (\w+) \{([^}]*)\}/gm)].map(([, name = '', body = '']) => ({
    name, servers: [...body.matchAll(/server (\S+?):(\d+)/g)].map(([, host, port]) => ({ host, port }))
  }))
  t.equal(upstreams.length, 2)
  for (const { name, servers } of upstreams) {
    t.same(servers.map(({ host }) => host), nodes.map(([node]) => node), name)
    for (const { port } of servers) t.match(dockerfile, new RegExp(`PORT=${port}\\b`))
  }
  const used = [...nginx.matchAll(/proxy_pass http:\/\/(\w+);/g)].map(([, name]) => name)
  t.same([...new Set(used)].sort(), upstreams.map(({ name }) => name).sort())
  t.match(/location \/socket\.io\/ \{[^}]*\}/.exec(nginx)?.[0], 'realtime_sticky')
  for (
    const line of [
      'proxy_set_header Upgrade $http_upgrade;', 'proxy_set_header Connection $connection_upgrade;',
      'proxy_set_header X-Forwarded-For $remote_addr;', 'proxy_http_version 1.1;'
    ]
  ) t.ok(nginx.includes(line), line)
  t.match(
    nginx, /^ *proxy_next_upstream [a-z ]+;$/m,
    'no status codes: an unreachable database of one tenant must not remove a node for all others'
  )
  const [, listens] = /listen (\d+);/.exec(nginx) ?? []
  t.same(compose.services['proxy']?.ports?.map(port => port.split(':')[1]), [listens])
  const { pingIntervalMs } = createConfig({}).delivery
  t.ok(Number(/proxy_read_timeout (\d+)s/.exec(nginx)?.[1]) * 1000 > pingIntervalMs * 2, 'idle sockets are kept')
  t.equal([...nginx].filter(one => one === '{').length, [...nginx].filter(one => one === '}').length)
})

t.test('the files that the Dockerfile copies exist, and no others are in the context', async t => {
  const allowed = read('.dockerignore').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1))
  t.match(read('.dockerignore'), /^\*$/m)
  const stages = dockerfile.split(/^FROM /m).slice(1)
  t.equal(stages.length, 2)
  for (const [, from = ''] of dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)) {
    for (const piece of from.split(' ').map(path => path.replace('./', ''))) {
      t.ok(existsSync(join(root, piece)), piece)
      t.ok(allowed.includes(piece), `${piece} is in the context`)
    }
  }
  const last = stages[1] ?? ''
  t.match(last, /npm ci --omit=dev/)
  t.match(last, /^USER node$/m)
  const [, command = ''] = /"dist\/(src\/\w+)\.js"\]/.exec(last) ?? []
  t.ok(existsSync(join(root, `${command}.ts`)), command)
})

t.test('every dependency is pinned by its digest', async t => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { integrity?: string, link?: boolean, inBundle?: boolean }>
  }
  const loose = Object.entries(packages).filter(([path, { integrity, link, inBundle }]) =>
    path.startsWith('node_modules/') && integrity === undefined && link !== true && inBundle !== true
  )
  t.same(loose.map(([path]) => path), [])
  t.match(dockerfile, /npm ci/)
  t.notMatch(dockerfile, /npm install/)
})

/** Reads manifests by the types of Kubernetes. Only `validate` checks them. */
const manifests = (text: string) =>
  parseAllDocuments(text).map(document => document.toJS() as { kind: string }) as [
    IDeployment & { spec: { template: PodTemplate } }, IKubernetesService, IPodDisruptionBudget
  ]

t.test('the Kubernetes manifests are valid, with known variables and probes, and time to stop', async t => {
  const text = read('deploy/kubernetes/realtime.yaml')
  const objects = manifests(text)
  t.same(objects.map(({ kind }) => kind), ['Deployment', 'Service', 'PodDisruptionBudget'])
  const [deployment, service, budget] = objects
  // Each throws if its JSON Schema is violated.
  for (const model of [new Deployment(deployment), new KubernetesService(service), new PodDisruptionBudget(budget)]) {
    model.validate()
  }
  const [wrong] = manifests(text.replace(/replicas: \d+/, 'replicas: two'))
  t.throws(() => new Deployment(wrong).validate(), /replicas/)

  const { spec } = deployment.spec.template
  const [container] = spec.containers
  const env = container?.env ?? []
  for (const { name } of env) t.ok(names.has(name) || name === 'NODE_OPTIONS', name)
  const paths = Object.keys((JSON.parse(read('openapi.json')) as { paths: object }).paths)
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const { httpGet } = container?.[probe] as { httpGet: { path: string, port: number } }
    t.ok(paths.includes(httpGet.path), `${probe}: ${httpGet.path}`)
    t.match(dockerfile, new RegExp(`PORT=${httpGet.port}\\b`))
  }
  const sleepS = Number(
    (container?.['lifecycle'] as { preStop: { exec: { command: string[] } } }).preStop.exec.command[1]
  )
  const timeoutMs = Number(env.find(({ name }) => name === 'SHUTDOWN_TIMEOUT_MS')?.value)
  t.ok(spec.terminationGracePeriodSeconds * 1000 > sleepS * 1000 + timeoutMs)
})

t.test('the systemd unit is valid, with known variables, and time to stop', async t => {
  const path = 'deploy/systemd/realtime-platform.service'
  const unit = read(path)
  const variables = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, line = '']) => line.split(' ')).map(pair =>
    pair.split('=')[0] ?? ''
  )
  for (const name of variables) t.ok(names.has(name) || name === 'NODE_OPTIONS', name)
  const timeoutMs = Number(/SHUTDOWN_TIMEOUT_MS=(\d+)/.exec(unit)?.[1])
  t.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) * 1000 > timeoutMs)
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', ['verify', join(root, path)], {
    encoding: 'utf8'
  })
  if (error !== undefined) return t.comment('systemd-analyze is not installed: the unit was not verified')
  // The path of Node differs from machine to machine; every other complaint counts.
  const complaints = `${stdout}${stderr}`.split('\n').filter(line =>
    line.includes('realtime-platform.service') && !line.includes('/usr/bin/node is not executable')
  )
  t.same(complaints, [])
  if (complaints.length === 0 && status !== 0) t.comment(`systemd-analyze ended with ${status}: ${stderr}`)
})

t.test("Node's heap is three quarters of a node's memory limit", async t => {
  const heapMb = (text: string) => Number(/--max-old-space-size=(\d+)/.exec(text)?.[1])
  for (const [name, node] of nodes) {
    t.equal(node.mem_limit, '2g', name)
    t.equal(heapMb(node.environment?.['NODE_OPTIONS'] ?? ''), 2048 * 0.75, name)
  }
  for (const [name, service] of Object.entries(compose.services)) {
    t.ok(service.mem_limit !== undefined, `${name} has a memory limit`)
  }
  t.equal(heapMb(read('deploy/kubernetes/realtime.yaml')), 2048 * 0.75)
  t.match(read('deploy/kubernetes/realtime.yaml'), 'limits: { memory: 2Gi }')
  t.equal(heapMb(read('deploy/systemd/realtime-platform.service')), 2048 * 0.75)
  t.match(read('deploy/systemd/realtime-platform.service'), /^MemoryMax=2G$/m)
})

t.test('every variable and metric that docs/DEPLOYMENT.md names exists', async t => {
  for (const [, name = ''] of page.matchAll(/`([A-Z][A-Z_]{4,})(?:=[^`]*)?`/g)) {
    t.ok(names.has(name) || ['NODE_OPTIONS', 'SIGTERM', 'SLOT_FOREIGN'].includes(name), name)
  }
  const { app } = await build(t)
  const known = new Set(
    [...(await app.inject('/api/metrics/prometheus')).body.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
  )
  for (const [, name = ''] of page.matchAll(/`((?:realtime|process|nodejs)_[a-z0-9_]+)`/g)) t.ok(known.has(name), name)
})

t.test('after a restore, the statements of docs/DEPLOYMENT.md make every client reload, and tell it so', async t => {
  const [, statements = ''] = /```sql\n([\s\S]*?)\n```/.exec(page) ?? []
  const { app: before, databaseUrl } = await build(t)
  const shop = await tenant(before)
  const topic = await shop.topic('restored.events')
  const [first] = await shop.publish(topic, 1, 2, 3)
  const unwritten = before.epochOf(shop.scope, 'sync.cart.created')
  // Several statements have several results, which the types omit.
  const results: pg.QueryResult | pg.QueryResult[] = await before.pool.query(statements)
  t.ok([results].flat().every(({ rowCount }) => rowCount !== null && rowCount > 0))
  await before.close()
  const { app: after } = await build(t, { databaseUrl })
  const url = await listen(after)
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    const answer = await client.request('subscribe', { topic, after: 1, epoch: first?.epoch })
    t.match(answer, { ok: true, recovered: false, offset: 3 }, name)
    t.match(await client.request('subscribe', { topic, after: 1, epoch: answer.epoch }), {
      ok: true, recovered: true, offset: 1
    }, `${name}: with the new one`)
    t.match(await client.request('subscribe', { topic: 'sync.cart.created', after: 0, epoch: unwritten }), {
      ok: true, recovered: false
    }, `${name}: of a log that the restored database does not have`)
    client.close()
  }
})
