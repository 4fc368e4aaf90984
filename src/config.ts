import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { Type, type Static } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import envSchema from 'env-schema'
import ipaddr from 'ipaddr.js'
import { explain, type ValidatorError } from './foundation/http/validation-message.ts'
import type { BodyLimits } from './foundation/limits/body-budget.ts'
import type { PaceLimits } from './foundation/limits/pace.ts'

/** Of what V8, and the process, may use: before memory runs out requests are shed. */
const memoryShareMax = 0.9
/** Of the process's memory: buffers outside of the heap. */
const externalShareMax = 0.6
/**
 * Of the process's memory: threads for conversations with connected databases, all together. One takes so much as a
 * rule, and at most.
 */
const threadsShareMax = 0.4
const threadBytes = { usual: 32 * 1024 ** 2, max: 512 * 1024 ** 2 }
/** Where no container limits the process: what it may have beside the heap. */
const outsideHeapBytes = 1024 ** 3

const durations = (description: string, value: string) => Type.String({
  description, default: value, pattern: '^\\d{1,6}(ms|s|m|h)(,\\d{1,6}(ms|s|m|h)){0,4}$'
})

/**
 * Every environment variable: names are fixed by the contract; docs/CONFIG.md and .env.example are checked against
 * this.
 */
export const EnvironmentVariables = Type.Object({
  NODE_ENV: Type.String({
    default: 'development',
    description: '`production` asks for DATABASE_URL and ENCRYPTION_KEY.'
  }),
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65535, description: 'Where to listen.' }),
  HOST: Type.String({
    default: '127.0.0.1', minLength: 1, description: 'The address to listen at; the image sets 0.0.0.0.'
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description: "The platform's own database. Unset: an embedded PostgreSQL."
    })
  ),
  DATA_DIR: Type.String({
    default: './.data', minLength: 1, description: 'The embedded cluster and generated development secrets.'
  }),
  EMBEDDED_POSTGRES: Type.Optional(
    Type.Boolean({
      description: 'Asks for or forbids the embedded PostgreSQL; by default on unless NODE_ENV=production.'
    })
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      pattern: '^rediss?://',
      description:
        'Redis or Valkey, over which several nodes work as one. Unset: events of other nodes come about a second ' +
          'later, and channels, presence and rate limits are of each node.'
    })
  ),
  REDIS_PREFIX: Type.String({
    default: '',
    pattern: '^[A-Za-z0-9_.:-]{0,64}$',
    description:
      'Put before every channel and key in Redis. Deployments with different databases never hear each other ' +
        'without it; give a physical clone of a database one of its own.'
  }),
  ENCRYPTION_KEY: Type.Optional(
    Type.String({
      description:
        '32 bytes in base64, for secrets at rest. Generated into DATA_DIR in development; required in production.'
    })
  ),
  ENCRYPTION_KEYS_OLD: Type.String({ default: '', description: 'Comma-separated keys that may still decrypt.' }),
  PUBLIC_URL: Type.Optional(
    Type.String({ pattern: '^https?://', description: 'How users reach this server; for links in mail.' })
  ),
  CORS_ORIGINS: Type.String({
    default: '',
    description: 'Comma-separated origins that browsers may call from; `*` for any.'
  }),
  TRUST_PROXY: Type.String({
    default: '', description: 'Comma-separated addresses or CIDRs of proxies whose X-Forwarded-* headers are believed.'
  }),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map(level => Type.Literal(level)),
    { default: 'info', description: "pino's levels." }
  ),
  ACCESS_LOG: Type.Boolean({
    default: false,
    description:
      'Logs every request, and every socket when it connects and ends, at `info`: path, status, duration, bytes and ' +
        'principal, no query.'
  }),
  RATE_LIMIT_MAX: Type.Integer({
    default: 6000, minimum: 0,
    description: 'Requests a minute and principal, over all nodes with REDIS_URL; 0 turns the limit off.'
  }),
  RATE_LIMIT_APPLICATION_MAX: Type.Integer({
    default: 0, minimum: 0,
    description: 'Requests a minute and application, whoever makes them, over all nodes with REDIS_URL; 0 is no limit.'
  }),
  RATE_LIMIT_UNAUTHORIZED_MAX: Type.Integer({
    default: 600, minimum: 0,
    description: 'Refused credentials a minute and address, over REST and sockets; 0 is no limit.'
  }),
  CONNECTIONS_PER_ADDRESS_MAX: Type.Integer({
    default: 2000, minimum: 0,
    description: 'Connections that an address may have open with a node at once; 0 is no limit.'
  }),
  CONNECTIONS_PER_APPLICATION_MAX: Type.Integer({
    default: 0, minimum: 0, description: 'Sockets that an application may have open with a node at once; 0 is no limit.'
  }),
  SUBSCRIPTIONS_PER_CONNECTION_MAX: Type.Integer({
    default: 1000, minimum: 1, maximum: 100000, description: 'Subscriptions that a socket may hold.'
  }),
  SUBSCRIPTIONS_PER_APPLICATION_MAX: Type.Integer({
    default: 250000, minimum: 0,
    description: 'Subscriptions that all sockets of an application may hold at a node; 0 is no limit.'
  }),
  REQUEST_TIMEOUT_MS: Type.Integer({
    default: 60000, minimum: 1000, maximum: 600000,
    description: 'How long a request may take to arrive; its head has a quarter of it.'
  }),
  MEMORY_BYTES_MAX: Type.Optional(
    Type.Integer({
      minimum: 64 * 1024 ** 2,
      description:
        "Memory that the process may have; near it, requests are refused. Unset: the limit of its container, or else the heap's and 1 GiB."
    })
  ),
  REQUEST_BODIES_BYTES_MAX: Type.Optional(
    Type.Integer({
      minimum: 1024 ** 2,
      description:
        'Bytes of all request bodies under way at a node; an application has half of it, an address without a ' +
          'credential an eighth. Unfinished messages of sockets have as much again. Unset: a sixteenth of the heap, ' +
          'at most 128 MiB.'
    })
  ),
  HELD_BYTES_MAX: Type.Optional(
    Type.Integer({
      minimum: 1024 ** 2,
      description: "Bytes that subscriptions and members' states may hold at a node. Unset: a quarter of the heap."
    })
  ),
  HELD_BYTES_PER_APPLICATION_MAX: Type.Optional(
    Type.Integer({ minimum: 64 * 1024, description: 'The same, of one application. Unset: half of HELD_BYTES_MAX.' })
  ),
  EVENT_RETENTION_HOURS: Type.Integer({
    default: 72, minimum: 1, maximum: 87600, description: 'How long the log keeps events.'
  }),
  AUDIT_RETENTION_DAYS: Type.Integer({
    default: 400, minimum: 0, maximum: 36500,
    description: 'How long entries of the audit log are kept; 0 keeps them for ever.'
  }),
  TRACE_RETENTION_HOURS: Type.Integer({
    default: 24, minimum: 1, maximum: 87600, description: 'How long traces are kept.'
  }),
  TRACE_SAMPLE: Type.Number({
    default: 1, minimum: 0, maximum: 1, description: 'The share of events that are traced.'
  }),
  METRICS_TOKEN: Type.Optional(
    Type.String({
      pattern: '^[!-~]+$',
      description:
        'Bearer token with which /api/metrics/prometheus has topic names. Without it they are `all`; unset, they ' +
          'are `all` for everybody in production, and open in development.'
    })
  ),
  JWT_ISSUER: Type.String({ default: 'realtime-platform', minLength: 1, description: 'The `iss` of tokens.' }),
  TOKEN_TTL_SECONDS: Type.Integer({
    default: 3600, minimum: 1, maximum: 31536000, description: "A token's life unless it is asked for another."
  }),
  SESSION_TTL_HOURS: Type.Integer({
    default: 24, minimum: 1, maximum: 8760, description: "A session's life since it was last used."
  }),
  CDC_ROW_BYTES_MAX: Type.Integer({
    default: 67108864,
    minimum: 1048576,
    maximum: 1073741824,
    description:
      'The longest row change that a connected database may send, old and new values together. A longer one is a ' +
        'failed row.'
  }),
  CDC_READER_THREADS_MAX: Type.Integer({
    default: 64,
    minimum: 1,
    maximum: 1024,
    description:
      'Threads in which this node reads connected databases, fewer where they have no room in two fifths of its ' +
        'memory. More readers than that share them.'
  }),
  CDC_SLOT_NAME: Type.String({
    default: 'realtime_cdc_slot', pattern: '^[a-z0-9_]{1,40}$',
    description: 'Prefix of replication slots and publications.'
  }),
  WEBHOOK_ALLOW_PRIVATE: Type.Boolean({
    default: false, description: 'Lets webhooks reach private addresses and plain http, for development.'
  }),
  WEBHOOK_ALLOW_CIDRS: Type.String({
    default: '', description: 'Comma-separated networks (CIDR) that webhooks may reach although they are private.'
  }),
  WEBHOOK_RETRY_SCHEDULE: durations(
    'Waits between attempts, at most five; each is drawn from between nothing and what stands here.', '5s,30s,2m,10m,1h'
  ),
  WEBHOOK_TIMEOUT_MS: Type.Integer({
    default: 15000, minimum: 100, maximum: 120000, description: 'How long an attempt may take.'
  }),
  SMTP_URL: Type.Optional(
    Type.String({ pattern: '^smtps?://', description: 'Where mail goes. Unset: links go to the log.' })
  ),
  MAIL_FROM: Type.Optional(
    Type.String({ description: 'The sender of mail. Unset: `realtime@` and the host of PUBLIC_URL.' })
  ),
  SHUTDOWN_TIMEOUT_MS: Type.Integer({
    default: 10000, minimum: 100, maximum: 600000, description: 'How long a stop may take.'
  })
})
export type EnvironmentVariables = Static<typeof EnvironmentVariables>

/** Variables whose values are never printed. */
export const secretVariables: ReadonlySet<string> = new Set([
  'DATABASE_URL', 'REDIS_URL', 'ENCRYPTION_KEY', 'ENCRYPTION_KEYS_OLD', 'METRICS_TOKEN', 'SMTP_URL'
])

/** The configuration by concern. Nothing else in the platform reads the environment. */
export interface Config {
  isProduction: boolean
  http: HttpSettings
  database: { url: string | undefined, embedded: boolean, dataDir: string, poolMax: number }
  /** `prefix`: before every channel and key. */
  redis: { url: string | undefined, prefix: string }
  cluster: ClusterSettings
  encryptionKeys: Buffer[]
  /** `access`: a line for each request and socket. */
  log: { level: string, access: boolean }
  mail: { smtpUrl: string | undefined, from: string | undefined }
  events: { retentionHours: number }
  audit: { retentionDays: number }
  traces: TraceSettings
  metrics: { token: string | undefined }
  auth: { issuer: string, tokenTtlS: number, sessionTtlMs: number }
  delivery: DeliveryLimits
  cdc: CdcSettings
  webhooks: WebhookSettings
  shutdownTimeoutMs: number
}

export interface HttpSettings {
  host: string
  port: number
  publicUrl: string | undefined
  corsOrigins: string[]
  trustProxy: string[]
  /**
   * A minute: by principal, by application, and of refused credentials by address. 0 is no limit, as for connections.
   */
  rateLimitMax: number
  rateLimitApplicationMax: number
  rateLimitUnauthorizedMax: number
  connectionsPerAddressMax: number
  /**
   * How long a request, and its head, may take to arrive; looked after every `timeoutsCheckedMs`, for which there is no
   * variable.
   */
  requestTimeoutMs: number
  headersTimeoutMs: number
  timeoutsCheckedMs: number
  /**
   * Beyond any of them requests are shed; there is a variable for the memory of the process, and a test may change
   * them.
   */
  heapUsedBytesMax: number
  rssBytesMax: number
  externalBytesMax: number
  /** Of request bodies under way. */
  bodies: BodyLimits
}

/**
 * What the bodies of requests under way may hold at a node: all of them, those of one application, those of one address
 * that shows no credential.
 */
/**
 * How the lives of events are written down; beside the first two there is no variable for them, but a test may change
 * them.
 */
export interface TraceSettings {
  retentionHours: number
  /** The share of events that is traced where nothing else is set. */
  sample: number
  /** Events that wait to be written down, and as many steps of events; beyond it new ones are given up, and counted. */
  pendingMax: number
  /** How often a stream that has nothing to say gives a sign of life. */
  heartbeatMs: number
}

/** How nodes keep track of each other; there is no variable for it, but a test may change it. */
export interface ClusterSettings {
  /** How often a node gives a sign of life to the others. */
  heartbeatMs: number
  /** How long it may be silent before the others go on without it, and without what was its own. */
  leaseMs: number
  /** How long a question to other nodes waits for their answers. */
  answerMs: number
  /**
   * At a stop, over how long sockets are told to move to other nodes, at most a third of the time that a stop may take.
   */
  moveMs: number
}

export const defaultClusterSettings: ClusterSettings = {
  heartbeatMs: 1000, leaseMs: 5000, answerMs: 1000, moveMs: 3000
}

/** PostgreSQL ends a session that it has not heard for `wal_sender_timeout`, a minute unless it is set. */
export const defaultCdcTiming = { pingEveryMs: 2000, careEveryMs: 5000, silenceMaxMs: 30_000 }

/** How connected databases are read; beside the name there is no variable for it, but a test may change it. */
export interface CdcSettings {
  /** Of replication slots and publications. */
  namePrefix: string
  /** How long a node that has vanished keeps others from reading on. It renews four times as often. */
  leaseMs: number
  /**
   * How often a stream's server is asked where it is, and slot, publication and tables are looked at; after how much
   * silence that decides whether the stream lives.
   */
  timing: { pingEveryMs: number, careEveryMs: number, silenceMaxMs: number }
  /** WAL that a slot may keep from being removed before it is warned of. */
  retainedBytesWarning: number
  /**
   * How long the switching on of a mapping waits for transactions that have already written to its table; well below
   * the timeout of a transaction of ours.
   */
  writersWaitMs: number
  /** What a connected database may send. */
  limits: { messageBytesMax: number, resultBytesMax: number }
  /** Threads for conversations with connected databases, and what they may take. */
  threads: {
    readerThreadsMax: number
    conversationsMax: number
    conversationsOfApplicationMax: number
    threadBytesMax: number
    heapBytesMax: number
  }
  /** How long a server may take to begin a stream, and a conversation that is none of a reader may take as a whole. */
  startMaxMs: number
  conversationMaxMs: number
  /** Between two attempts to drop what connections have left behind. */
  leftoverRetryMs: number
}

/** Bounds of one socket; there is a variable for a few of them, and a test may tighten them all. */
export interface DeliveryLimits extends PaceLimits {
  /** Bytes that wait in one socket before its subscriptions are given up. */
  socketBufferBytesMax: number
  /** How long a socket over that bound may take to drain before it is closed. */
  drainTimeoutMs: number
  subscriptionsPerConnectionMax: number
  /** Of all sockets of an application at this node; 0 is no bound. */
  subscriptionsPerApplicationMax: number
  /** Open sockets of an application at this node; 0 is no bound. */
  connectionsPerApplicationMax: number
  /** Topics that one pattern may come to, and all patterns of a connection. */
  patternTopicsMax: number
  patternTopicsPerConnectionMax: number
  channelsPerConnectionMax: number
  authTimeoutMs: number
  /** Bytes of the past a second that a connection is sent, and at once; more of it waits. 0 a second is no limit. */
  pastBytesPerSecond: number
  pastBytesBurst: number
  /** One frame's bytes; documents come in by REST. */
  frameBytesMax: number
  /** The same until the client is known, and how many packets it may send until then over Socket.IO. */
  unauthenticatedFrameBytesMax: number
  unauthenticatedPacketsMax: number
  /** Packets of one long-polling request. */
  packetsPerPostMax: number
  /**
   * How often a peer is asked for a sign of life; one that misses it is cut off. Over Socket.IO it has `pongTimeoutMs`
   * for it, over `/ws` one interval.
   */
  pingIntervalMs: number
  pongTimeoutMs: number
  /** How long a peer may take to answer a close before it is cut off. */
  closeTimeoutMs: number
  /** Bytes that wait in all sockets of a node together; beyond it those with the most are cut off. */
  bufferedBytesMax: number
  /**
   * Bytes of messages that have arrived in part, of all sockets of a node together; beyond it those with the most are
   * cut off.
   */
  arrivingBytesMax: number
  /** Bytes that subscriptions and members' states hold at a node, of all applications and of one. */
  heldBytesMax: number
  heldBytesPerApplicationMax: number
}

export const defaultDeliveryLimits: DeliveryLimits = {
  socketBufferBytesMax: 4 * 1024 * 1024,
  drainTimeoutMs: 10_000,
  subscriptionsPerConnectionMax: 1000,
  subscriptionsPerApplicationMax: 250_000,
  connectionsPerApplicationMax: 0,
  patternTopicsMax: 1000,
  patternTopicsPerConnectionMax: 5000,
  channelsPerConnectionMax: 100,
  authTimeoutMs: 5000,
  requestsPerSecond: 100,
  requestsBurst: 200,
  bytesPerSecond: 1024 * 1024,
  bytesBurst: 4 * 1024 * 1024,
  pastBytesPerSecond: 8 * 1024 * 1024,
  pastBytesBurst: 64 * 1024 * 1024,
  overLimitMs: 5000,
  frameBytesMax: 1024 * 1024,
  unauthenticatedFrameBytesMax: 16 * 1024,
  unauthenticatedPacketsMax: 32,
  packetsPerPostMax: 1000,
  pingIntervalMs: 25_000,
  pongTimeoutMs: 20_000,
  closeTimeoutMs: 5000,
  bufferedBytesMax: 512 * 1024 * 1024,
  arrivingBytesMax: 128 * 1024 * 1024,
  heldBytesMax: 512 * 1024 * 1024,
  heldBytesPerApplicationMax: 256 * 1024 * 1024
}

export interface WebhookSettings extends WebhookLimits {
  allowPrivate: boolean
  /** CIDRs. */
  allowedNetworks: string[]
  retryScheduleMs: number[]
  timeoutMs: number
}

/** Bounds of the dispatcher; there is no variable for them, but a test may tighten them. */
export interface WebhookLimits {
  /** Looks up every address of a name instead of DNS: of a test, one that knows its own names only. */
  resolve?: (hostname: string) => Promise<string[]>
  /** Trusted beside the system's authorities, for receivers of tests. */
  certificateAuthority?: string
  perApplicationMax: number
  /** Requests under way from a node, and to one endpoint of them. */
  concurrencyMax: number
  endpointConcurrencyMax: number
  /** How long a connection may take to be made, of the time that an attempt has. */
  connectTimeoutMs: number
  /**
   * Failures in a row after which an endpoint is left alone, at first for `circuitPauseMs`, at most for
   * `circuitPauseMaxMs`.
   */
  circuitFailures: number
  circuitPauseMs: number
  circuitPauseMaxMs: number
  /** How long an endpoint that is owed nothing is remembered, with its connections. */
  endpointIdleMs: number
  /** The longest time that a `Retry-After` is believed. */
  retryAfterMaxMs: number
  /** How long an endpoint may do nothing but fail before it is switched off. */
  deactivateAfterMs: number
  /** How long a lease outlasts the time that an attempt may take. */
  leaseMarginMs: number
  /** How often the dispatcher looks for what nobody told it of. */
  pollMs: number
  /** Bytes of an answer that are read, and that are logged. */
  responseBytesMax: number
  responseBytesLogged: number
  /** How long deliveries that were given up, or never sent, are kept. */
  deadKeptMs: number
}

export const defaultWebhookLimits: WebhookLimits = {
  perApplicationMax: 200,
  concurrencyMax: 512,
  endpointConcurrencyMax: 32,
  connectTimeoutMs: 5000,
  circuitFailures: 5,
  circuitPauseMs: 1000,
  circuitPauseMaxMs: 60_000,
  endpointIdleMs: 5 * 60_000,
  retryAfterMaxMs: 24 * 3_600_000,
  deactivateAfterMs: 5 * 24 * 3_600_000,
  leaseMarginMs: 5000,
  pollMs: 1000,
  responseBytesMax: 64 * 1024,
  responseBytesLogged: 1024,
  deadKeptMs: 30 * 24 * 3_600_000
}

/** Names every bad variable at once. */
export class ConfigError extends Error {
  readonly problems: string[]
  constructor (problems: string[]) {
    super(`The configuration is not usable:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads variables (a `.env` file's come in by `readEnvironment`). Throws ConfigError. */
export function createConfig (variables: Record<string, string | undefined>): Config {
  const env = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''))
  const problems: string[] = []
  const parsed = parseVariables(env, problems)
  const isProduction = parsed.NODE_ENV === 'production'
  const embedded = env['DATABASE_URL'] === undefined && (parsed.EMBEDDED_POSTGRES ?? !isProduction)
  if (env['DATABASE_URL'] === undefined && !embedded) {
    problems.push('DATABASE_URL is required when EMBEDDED_POSTGRES is off (in production it is off unless asked for)')
  }
  if (isProduction && parsed.ENCRYPTION_KEY === undefined) { problems.push('ENCRYPTION_KEY is required in production: 32 bytes in base64') }
  const encryptionKeys = [
    ...(parsed.ENCRYPTION_KEY === undefined ? [] : [['ENCRYPTION_KEY', parsed.ENCRYPTION_KEY] as const]),
    ...list(parsed.ENCRYPTION_KEYS_OLD).map(key => ['ENCRYPTION_KEYS_OLD', key] as const)
  ].map(([name, text]) => encryptionKey(name, text, problems))
  const allowedNetworks = list(parsed.WEBHOOK_ALLOW_CIDRS)
  for (const network of allowedNetworks) {
    if (!ipaddr.isValidCIDR(network)) { problems.push(`WEBHOOK_ALLOW_CIDRS must be networks such as 10.1.0.0/16; this is none: ${network}`) }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  const heapBytesMax = getHeapStatistics().heap_size_limit
  const memoryBytesMax = parsed.MEMORY_BYTES_MAX ?? containerBytesMax() ?? heapBytesMax + outsideHeapBytes
  const bodiesBytesMax = parsed.REQUEST_BODIES_BYTES_MAX ?? Math.min(128 * 1024 ** 2, Math.floor(heapBytesMax / 16))
  const heldBytesMax = parsed.HELD_BYTES_MAX ?? Math.floor(heapBytesMax / 4)
  return {
    isProduction,
    http: {
      host: parsed.HOST,
      port: parsed.PORT,
      publicUrl: parsed.PUBLIC_URL,
      corsOrigins: list(parsed.CORS_ORIGINS),
      trustProxy: list(parsed.TRUST_PROXY),
      rateLimitMax: parsed.RATE_LIMIT_MAX,
      rateLimitApplicationMax: parsed.RATE_LIMIT_APPLICATION_MAX,
      rateLimitUnauthorizedMax: parsed.RATE_LIMIT_UNAUTHORIZED_MAX,
      connectionsPerAddressMax: parsed.CONNECTIONS_PER_ADDRESS_MAX,
      requestTimeoutMs: parsed.REQUEST_TIMEOUT_MS,
      headersTimeoutMs: Math.ceil(parsed.REQUEST_TIMEOUT_MS / 4),
      timeoutsCheckedMs: 1000,
      heapUsedBytesMax: Math.floor(heapBytesMax * memoryShareMax),
      rssBytesMax: Math.floor(memoryBytesMax * memoryShareMax),
      externalBytesMax: Math.floor(memoryBytesMax * externalShareMax),
      bodies: {
        nodeBytesMax: bodiesBytesMax, applicationBytesMax: Math.floor(bodiesBytesMax / 2),
        addressBytesMax: Math.floor(bodiesBytesMax / 8)
      }
    },
    database: { url: parsed.DATABASE_URL, embedded, dataDir: parsed.DATA_DIR, poolMax: 16 },
    redis: { url: parsed.REDIS_URL, prefix: parsed.REDIS_PREFIX },
    cluster: { ...defaultClusterSettings },
    encryptionKeys,
    log: { level: String(parsed.LOG_LEVEL), access: parsed.ACCESS_LOG },
    mail: { smtpUrl: parsed.SMTP_URL, from: parsed.MAIL_FROM },
    events: { retentionHours: parsed.EVENT_RETENTION_HOURS },
    audit: { retentionDays: parsed.AUDIT_RETENTION_DAYS },
    traces: {
      retentionHours: parsed.TRACE_RETENTION_HOURS, sample: parsed.TRACE_SAMPLE, pendingMax: 100_000,
      heartbeatMs: 15_000
    },
    metrics: { token: parsed.METRICS_TOKEN },
    auth: {
      issuer: parsed.JWT_ISSUER, tokenTtlS: parsed.TOKEN_TTL_SECONDS, sessionTtlMs: parsed.SESSION_TTL_HOURS * 3_600_000
    },
    delivery: {
      ...defaultDeliveryLimits,
      subscriptionsPerConnectionMax: parsed.SUBSCRIPTIONS_PER_CONNECTION_MAX,
      subscriptionsPerApplicationMax: parsed.SUBSCRIPTIONS_PER_APPLICATION_MAX,
      connectionsPerApplicationMax: parsed.CONNECTIONS_PER_APPLICATION_MAX,
      arrivingBytesMax: bodiesBytesMax,
      heldBytesMax,
      heldBytesPerApplicationMax: parsed.HELD_BYTES_PER_APPLICATION_MAX ?? Math.floor(heldBytesMax / 2)
    },
    cdc: {
      namePrefix: parsed.CDC_SLOT_NAME, leaseMs: 5000, timing: defaultCdcTiming, retainedBytesWarning: 1024 ** 3,
      writersWaitMs: 6000, limits: { messageBytesMax: parsed.CDC_ROW_BYTES_MAX, resultBytesMax: 32 * 1024 * 1024 },
      threads: threadShares(memoryBytesMax, parsed.CDC_READER_THREADS_MAX), startMaxMs: 30_000,
      conversationMaxMs: 60_000, leftoverRetryMs: 60_000
    },
    webhooks: {
      ...defaultWebhookLimits,
      allowPrivate: parsed.WEBHOOK_ALLOW_PRIVATE,
      allowedNetworks,
      retryScheduleMs: list(parsed.WEBHOOK_RETRY_SCHEDULE).map(toMilliseconds),
      timeoutMs: parsed.WEBHOOK_TIMEOUT_MS
    },
    shutdownTimeoutMs: parsed.SHUTDOWN_TIMEOUT_MS
  }
}

/** Whether the process runs in production, for reports that cannot wait for a valid configuration. */
export const isProduction = (): boolean => process.env['NODE_ENV'] === 'production'

/** The process's variables, over those of a `.env` file in the working directory. */
export function readEnvironment (): Record<string, string | undefined> {
  try {
    process.loadEnvFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return process.env
}

/** Those that are wrong become problems, and are left out, so that what else is wrong is found as well. */
/** Ajv compiles a schema once for each object that holds it. */
const variablesAjv = new Ajv({
  coerceTypes: true, useDefaults: true, allErrors: true, removeAdditional: true, allowUnionTypes: true
})
const variablesSchema = { ...EnvironmentVariables }

function parseVariables (data: Record<string, string | undefined>, problems: string[]): EnvironmentVariables {
  try {
    return envSchema<EnvironmentVariables>({ schema: variablesSchema, data, env: false, ajv: variablesAjv as never })
  } catch (error) {
    const errors = (error as { errors?: ValidatorError[] }).errors ?? []
    const wrong = new Set(errors.map(({ instancePath = '' }) => instancePath.slice(1)))
    const right = Object.entries(data).filter(([name]) => !wrong.has(name))
    if (right.length === Object.keys(data).length) throw error
    problems.push(
      ...[...wrong].map(name =>
        `${name} ${explain(errors.filter(({ instancePath }) => instancePath === `/${name}`)).message ?? 'is wrong'}`
      )
    )
    return parseVariables(Object.fromEntries(right), problems)
  }
}

/**
 * Threads share a part of the process's memory: as many of them as have room there, and no one of them has all of it.
 */
function threadShares (memoryBytesMax: number, readerThreadsMax: number): Config['cdc']['threads'] {
  const threadBytesMax = Math.max(threadBytes.usual * 4, Math.floor(memoryBytesMax * threadsShareMax))
  const count = Math.floor(threadBytesMax / threadBytes.usual)
  const conversationsMax = Math.min(8, Math.max(2, Math.floor(count / 4)))
  return {
    conversationsMax,
    conversationsOfApplicationMax: Math.ceil(conversationsMax / 3),
    readerThreadsMax: Math.min(readerThreadsMax, count - conversationsMax),
    threadBytesMax,
    heapBytesMax: Math.min(threadBytes.max, Math.floor(threadBytesMax / 2))
  }
}

/** Undefined where the process may have all of the machine's memory. */
function containerBytesMax (): number | undefined {
  const bytes = process.constrainedMemory()
  return bytes > 0 && bytes < totalmem() ? bytes : undefined
}

const list = (text: string) => text.split(',').map(part => part.trim()).filter(part => part !== '')

const unitsMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

function toMilliseconds (duration: string): number {
  const [, count = '', unit = ''] = /^(\d+)(\w+)$/.exec(duration) ?? []
  return Number(count) * (unitsMs[unit] ?? NaN)
}

function encryptionKey (name: string, text: string, problems: string[]): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length !== 32) { problems.push(`${name} must be 32 bytes in base64 (it is ${key.length}); make one with: openssl rand -base64 32`) }
  return key
}
