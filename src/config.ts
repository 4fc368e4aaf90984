import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { Type, type Static } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import envSchema from 'env-schema'
import ipaddr from 'ipaddr.js'
import { explain, type ValidatorError } from './foundation/http/validation-message.ts'
import type { BodyLimits } from './foundation/limits/body-budget.ts'
import type { PaceLimits } from './foundation/limits/pace.ts'

/** Share of the heap limit and of the process's memory. Above it, requests are refused before memory runs out. */
const memoryShareMax = 0.9
/** Share of the process's memory for buffers outside the heap. */
const externalShareMax = 0.6
/**
 * Share of the process's memory for the threads that talk to connected databases, all together. `usual` is what one
 * thread normally takes, `max` its limit.
 */
const threadsShareMax = 0.4
const threadBytes = { usual: 32 * 1024 ** 2, max: 512 * 1024 ** 2 }
/** Memory beside the heap when no container limits the process. */
const outsideHeapBytes = 1024 ** 3

const durations = (description: string, value: string) => Type.String({
  description, default: value, pattern: '^\\d{1,6}(ms|s|m|h)(,\\d{1,6}(ms|s|m|h)){0,4}$'
})

/**
 * Every environment variable. The names are part of the contract; tests check docs/CONFIG.md and .env.example against
 * them.
 */
export const EnvironmentVariables = Type.Object({
  NODE_ENV: Type.String({
    default: 'development',
    description: '`production` requires DATABASE_URL and ENCRYPTION_KEY.'
  }),
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65535, description: 'The port to listen on.' }),
  HOST: Type.String({
    default: '127.0.0.1', minLength: 1, description: 'The address to listen on. The Docker image sets 0.0.0.0.'
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      description: "The platform's own database. Unset: an embedded PostgreSQL."
    })
  ),
  DATA_DIR: Type.String({
    default: './.data', minLength: 1,
    description: 'The folder of the embedded PostgreSQL and of generated development secrets.'
  }),
  EMBEDDED_POSTGRES: Type.Optional(
    Type.Boolean({
      description: 'Enables or disables the embedded PostgreSQL. By default it is enabled unless NODE_ENV=production.'
    })
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      pattern: '^rediss?://',
      description:
        'Redis or Valkey, which connects several nodes. Unset: events of other nodes arrive about a second later, ' +
          'and channels, presence and rate limits are local to each node.'
    })
  ),
  REDIS_PREFIX: Type.String({
    default: '',
    pattern: '^[A-Za-z0-9_.:-]{0,64}$',
    description:
      'Prefix of every channel and key in Redis. Deployments with different databases are isolated without it; set ' +
        'it for a physical clone of a database.'
  }),
  ENCRYPTION_KEY: Type.Optional(
    Type.String({
      description:
        '32 bytes in base64, to encrypt secrets at rest. Required in production; in development it is generated into ' +
          'DATA_DIR.'
    })
  ),
  ENCRYPTION_KEYS_OLD: Type.String({ default: '', description: 'Comma-separated former keys that may still decrypt.' }),
  PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: '^https?://', description: 'The URL under which users reach this server, for links in mail.'
    })
  ),
  CORS_ORIGINS: Type.String({
    default: '',
    description: 'Comma-separated origins that browsers may call from; `*` allows any.'
  }),
  TRUST_PROXY: Type.String({
    default: '', description: 'Comma-separated addresses or CIDRs of proxies whose X-Forwarded-* headers are trusted.'
  }),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map(level => Type.Literal(level)),
    { default: 'info', description: 'The lowest level that is logged.' }
  ),
  ACCESS_LOG: Type.Boolean({
    default: false,
    description:
      'Logs every request, and every socket when it connects and ends, at `info`: path, status, duration, bytes and ' +
        'principal, without the query.'
  }),
  RATE_LIMIT_MAX: Type.Integer({
    default: 6000, minimum: 0,
    description: 'Limit of requests per minute and principal, over all nodes with REDIS_URL. 0: no limit.'
  }),
  RATE_LIMIT_APPLICATION_MAX: Type.Integer({
    default: 0, minimum: 0,
    description: 'Limit of requests per minute and application, over all nodes with REDIS_URL. 0: no limit.'
  }),
  RATE_LIMIT_UNAUTHORIZED_MAX: Type.Integer({
    default: 600, minimum: 0,
    description: 'Limit of refused credentials per minute and address, over REST and sockets. 0: no limit.'
  }),
  CONNECTIONS_PER_ADDRESS_MAX: Type.Integer({
    default: 2000, minimum: 0,
    description: 'Limit of open connections per address and node. 0: no limit.'
  }),
  CONNECTIONS_PER_APPLICATION_MAX: Type.Integer({
    default: 0, minimum: 0, description: 'Limit of open sockets per application and node. 0: no limit.'
  }),
  SUBSCRIPTIONS_PER_CONNECTION_MAX: Type.Integer({
    default: 1000, minimum: 1, maximum: 100000, description: 'Limit of subscriptions per socket.'
  }),
  SUBSCRIPTIONS_PER_APPLICATION_MAX: Type.Integer({
    default: 250000, minimum: 0,
    description: 'Limit of subscriptions per application and node, over all of its sockets. 0: no limit.'
  }),
  REQUEST_TIMEOUT_MS: Type.Integer({
    default: 60000, minimum: 1000, maximum: 600000,
    description: 'Time in which a request must arrive; its headers have a quarter of it.'
  }),
  MEMORY_BYTES_MAX: Type.Optional(
    Type.Integer({
      minimum: 64 * 1024 ** 2,
      description:
        'Memory limit of the process. Near it, requests are refused. Unset: the limit of the container, otherwise ' +
          'the heap limit plus 1 GiB.'
    })
  ),
  REQUEST_BODIES_BYTES_MAX: Type.Optional(
    Type.Integer({
      minimum: 1024 ** 2,
      description:
        'Limit of the bytes of unanswered request bodies per node. An application may use half of it, an address ' +
          'without a credential an eighth. Partly received socket messages have a separate limit of the same size. ' +
          'Unset: a sixteenth of the heap, at most 128 MiB.'
    })
  ),
  HELD_BYTES_MAX: Type.Optional(
    Type.Integer({
      minimum: 1024 ** 2,
      description: 'Limit of the bytes of subscriptions and member states per node. Unset: a quarter of the heap.'
    })
  ),
  HELD_BYTES_PER_APPLICATION_MAX: Type.Optional(
    Type.Integer({
      minimum: 64 * 1024, description: 'HELD_BYTES_MAX for one application. Unset: half of HELD_BYTES_MAX.'
    })
  ),
  EVENT_RETENTION_HOURS: Type.Integer({
    default: 72, minimum: 1, maximum: 87600, description: 'Hours for which the log keeps events.'
  }),
  AUDIT_RETENTION_DAYS: Type.Integer({
    default: 400, minimum: 0, maximum: 36500,
    description: 'Days for which the audit log keeps entries. 0: forever.'
  }),
  TRACE_RETENTION_HOURS: Type.Integer({
    default: 24, minimum: 1, maximum: 87600, description: 'Hours for which traces are kept.'
  }),
  TRACE_SAMPLE: Type.Number({
    default: 1, minimum: 0, maximum: 1, description: 'The share of events that are traced.'
  }),
  METRICS_TOKEN: Type.Optional(
    Type.String({
      pattern: '^[!-~]+$',
      description:
        'Bearer token for full metrics at /api/metrics/prometheus. Scrapes without it get `topic="all"` instead of ' +
          'topic names. Unset: every scrape gets topic names in development, and none in production.'
    })
  ),
  JWT_ISSUER: Type.String({ default: 'realtime-platform', minLength: 1, description: 'The `iss` claim of tokens.' }),
  TOKEN_TTL_SECONDS: Type.Integer({
    default: 3600, minimum: 1, maximum: 31536000, description: 'Lifetime of a token unless the request sets another.'
  }),
  SESSION_TTL_HOURS: Type.Integer({
    default: 24, minimum: 1, maximum: 8760, description: 'Lifetime of a session after its last use.'
  }),
  CDC_ROW_BYTES_MAX: Type.Integer({
    default: 67108864,
    minimum: 1048576,
    maximum: 1073741824,
    description:
      'Limit of one row change of a connected database, old and new values together. A longer one is a failed row.'
  }),
  CDC_READER_THREADS_MAX: Type.Integer({
    default: 64,
    minimum: 1,
    maximum: 1024,
    description:
      'Limit of the threads in which this node reads connected databases. All threads together take at most two ' +
        'fifths of its memory. More readers than threads share them.'
  }),
  CDC_SLOT_NAME: Type.String({
    default: 'realtime_cdc_slot', pattern: '^[a-z0-9_]{1,40}$',
    description: 'Prefix of replication slots and publications.'
  }),
  WEBHOOK_ALLOW_PRIVATE: Type.Boolean({
    default: false, description: 'Allows webhooks to private addresses and over plain http, for development.'
  }),
  WEBHOOK_ALLOW_CIDRS: Type.String({
    default: '', description: 'Comma-separated private networks (CIDR) that webhooks may reach.'
  }),
  WEBHOOK_RETRY_SCHEDULE: durations(
    'Up to five waits between attempts. Each is a random time between zero and the given one.', '5s,30s,2m,10m,1h'
  ),
  WEBHOOK_TIMEOUT_MS: Type.Integer({
    default: 15000, minimum: 100, maximum: 120000, description: 'Time limit of an attempt.'
  }),
  SMTP_URL: Type.Optional(
    Type.String({ pattern: '^smtps?://', description: 'The mail server. Unset: links are written to the log.' })
  ),
  MAIL_FROM: Type.Optional(
    Type.String({ description: 'The sender of mail. Unset: `realtime@` and the host of PUBLIC_URL.' })
  ),
  SHUTDOWN_TIMEOUT_MS: Type.Integer({
    default: 10000, minimum: 100, maximum: 600000, description: 'Time limit of a shutdown.'
  })
})
export type EnvironmentVariables = Static<typeof EnvironmentVariables>

/** Variables whose values must never be printed. */
export const secretVariables: ReadonlySet<string> = new Set([
  'DATABASE_URL', 'REDIS_URL', 'ENCRYPTION_KEY', 'ENCRYPTION_KEYS_OLD', 'METRICS_TOKEN', 'SMTP_URL'
])

/** The configuration, grouped by concern. Only this file reads the environment. */
export interface Config {
  isProduction: boolean
  http: HttpSettings
  database: { url: string | undefined, embedded: boolean, dataDir: string, poolMax: number }
  /** `prefix` starts the name of every channel and key. */
  redis: { url: string | undefined, prefix: string }
  cluster: ClusterSettings
  encryptionKeys: Buffer[]
  /** `access` enables a log line for each request and socket. */
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
   * Limits per minute, by principal, by application, and of refused credentials by address. 0 is no limit; the same
   * holds for connections.
   */
  rateLimitMax: number
  rateLimitApplicationMax: number
  rateLimitUnauthorizedMax: number
  connectionsPerAddressMax: number
  /**
   * Time in which a request, and its headers, must arrive. It is checked every `timeoutsCheckedMs`, which has no
   * variable.
   */
  requestTimeoutMs: number
  headersTimeoutMs: number
  timeoutsCheckedMs: number
  /**
   * Above any of these limits, requests are refused. Only the memory of the process has a variable; tests may set the
   * others.
   */
  heapUsedBytesMax: number
  rssBytesMax: number
  externalBytesMax: number
  /** Limits of unanswered request bodies. */
  bodies: BodyLimits
}

/** How events are traced. Only the first two have variables; tests may set the others. */
export interface TraceSettings {
  retentionHours: number
  /** The share of events that is traced unless the scope sets its own. */
  sample: number
  /** Events that wait to be stored, and as many steps of events. Above it, new ones are dropped and counted. */
  pendingMax: number
  /** Interval of heartbeats on an idle stream. */
  heartbeatMs: number
}

/** How nodes track each other. None of these has a variable; tests may set them. */
export interface ClusterSettings {
  /** Interval of a node's heartbeats. */
  heartbeatMs: number
  /** Time without a heartbeat after which the other nodes treat a node as failed and drop its state. */
  leaseMs: number
  /** Time limit of a request to other nodes. */
  answerMs: number
  /** Time over which a stopping node moves its sockets to other nodes; at most a third of the shutdown timeout. */
  moveMs: number
}

export const defaultClusterSettings: ClusterSettings = {
  heartbeatMs: 1000, leaseMs: 5000, answerMs: 1000, moveMs: 3000
}

/** PostgreSQL ends a replication session without a reply for `wal_sender_timeout`, one minute by default. */
export const defaultCdcTiming = { pingEveryMs: 2000, careEveryMs: 5000, silenceMaxMs: 30_000 }

/** How connected databases are read. Only the name has a variable; tests may set the others. */
export interface CdcSettings {
  /** Prefix of replication slots and publications. */
  namePrefix: string
  /** How long the lease of a failed node blocks other readers. A reader renews it four times as often. */
  leaseMs: number
  /**
   * `pingEveryMs`: how often the server of a stream is queried for its position. `careEveryMs`: how often slot,
   * publication and tables are checked. `silenceMaxMs`: the silence after which the stream is tested for life.
   */
  timing: { pingEveryMs: number, careEveryMs: number, silenceMaxMs: number }
  /** WAL that a slot may retain before a warning. */
  retainedBytesWarning: number
  /**
   * How long enabling a mapping waits for transactions that have already written to its table. It must stay well below
   * our own transaction timeout.
   */
  writersWaitMs: number
  /** Limits of what a connected database may send. */
  limits: { messageBytesMax: number, resultBytesMax: number }
  /** Limits of the threads that talk to connected databases. */
  threads: {
    readerThreadsMax: number
    conversationsMax: number
    conversationsOfApplicationMax: number
    threadBytesMax: number
    heapBytesMax: number
  }
  /** Time limits for starting a stream, and for a whole conversation outside of a reader. */
  startMaxMs: number
  conversationMaxMs: number
  /** Interval of attempts to drop the slots and publications of deleted connections. */
  leftoverRetryMs: number
}

/** Limits of one socket. Some have variables; tests may tighten all of them. */
export interface DeliveryLimits extends PaceLimits {
  /** Buffered bytes of one socket above which its subscriptions are dropped. */
  socketBufferBytesMax: number
  /** How long a socket above that limit may take to drain before it is closed. */
  drainTimeoutMs: number
  subscriptionsPerConnectionMax: number
  /** Subscriptions of all sockets of an application on this node; 0 is no limit. */
  subscriptionsPerApplicationMax: number
  /** Open sockets of an application on this node; 0 is no limit. */
  connectionsPerApplicationMax: number
  /** Topics that one pattern, and all patterns of a connection, may match. */
  patternTopicsMax: number
  patternTopicsPerConnectionMax: number
  channelsPerConnectionMax: number
  authTimeoutMs: number
  /**
   * Bytes of stored events per second that a connection is sent when it resumes, and at once. The rest waits. 0 per
   * second is no limit.
   */
  pastBytesPerSecond: number
  pastBytesBurst: number
  /** Limit of one frame in bytes. Documents arrive over REST. */
  frameBytesMax: number
  /** The same limit before authentication, and how many Socket.IO packets a client may send until then. */
  unauthenticatedFrameBytesMax: number
  unauthenticatedPacketsMax: number
  /** Packets that one long-polling request may hold. */
  packetsPerPostMax: number
  /**
   * Interval of pings. A peer that does not reply is cut off, over Socket.IO after `pongTimeoutMs`, over `/ws` after
   * one interval.
   */
  pingIntervalMs: number
  pongTimeoutMs: number
  /** How long a peer may take to acknowledge a close before it is cut off. */
  closeTimeoutMs: number
  /** Buffered bytes of all sockets of a node. Above it, the sockets with the most are cut off. */
  bufferedBytesMax: number
  /** Bytes of partly received messages of all sockets of a node. Above it, the sockets with the most are cut off. */
  arrivingBytesMax: number
  /**
   * Bytes of subscriptions and member states that all applications together, and one application, may hold on a node.
   */
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
  /** In CIDR notation. */
  allowedNetworks: string[]
  retryScheduleMs: number[]
  timeoutMs: number
}

/** Limits of the dispatcher. None has a variable; tests may tighten them. */
export interface WebhookLimits {
  /** Replaces DNS in tests: returns every address of a name. */
  resolve?: (hostname: string) => Promise<string[]>
  /** Trusted in addition to the system's certificate authorities, for receivers in tests. */
  certificateAuthority?: string
  perApplicationMax: number
  /** Concurrent requests of a node, and of a node to one endpoint. */
  concurrencyMax: number
  endpointConcurrencyMax: number
  /** Time limit of connecting, within the time limit of an attempt. */
  connectTimeoutMs: number
  /**
   * Consecutive failures after which an endpoint is paused, at first for `circuitPauseMs`, at most for
   * `circuitPauseMaxMs`.
   */
  circuitFailures: number
  circuitPauseMs: number
  circuitPauseMaxMs: number
  /** How long an endpoint without pending deliveries is kept in memory, with its connections. */
  endpointIdleMs: number
  /** The longest `Retry-After` that is honoured. */
  retryAfterMaxMs: number
  /** How long an endpoint may fail without a success before it is disabled. */
  deactivateAfterMs: number
  /** How long a lease lasts beyond the time limit of an attempt. */
  leaseMarginMs: number
  /** How often the dispatcher polls for deliveries that it received no hint of. */
  pollMs: number
  /** Bytes of a response that are read, and that are stored with the attempt. */
  responseBytesMax: number
  responseBytesLogged: number
  /** How long dead and unsent deliveries are kept. */
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

/** Lists every invalid variable at once. */
export class ConfigError extends Error {
  readonly problems: string[]
  constructor (problems: string[]) {
    super(`The configuration is invalid:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Creates the configuration from variables; `readEnvironment` adds those of a `.env` file. Throws ConfigError. */
export function createConfig (variables: Record<string, string | undefined>): Config {
  const env = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined && value !== ''))
  const problems: string[] = []
  const parsed = parseVariables(env, problems)
  const isProduction = parsed.NODE_ENV === 'production'
  const embedded = env['DATABASE_URL'] === undefined && (parsed.EMBEDDED_POSTGRES ?? !isProduction)
  if (env['DATABASE_URL'] === undefined && !embedded) {
    problems.push(
      'DATABASE_URL is required unless EMBEDDED_POSTGRES is enabled (in production it is disabled by default)'
    )
  }
  if (isProduction && parsed.ENCRYPTION_KEY === undefined) {
    problems.push('ENCRYPTION_KEY is required in production: 32 bytes in base64')
  }
  const encryptionKeys = [
    ...(parsed.ENCRYPTION_KEY === undefined ? [] : [['ENCRYPTION_KEY', parsed.ENCRYPTION_KEY] as const]),
    ...list(parsed.ENCRYPTION_KEYS_OLD).map(key => ['ENCRYPTION_KEYS_OLD', key] as const)
  ].map(([name, text]) => encryptionKey(name, text, problems))
  const allowedNetworks = list(parsed.WEBHOOK_ALLOW_CIDRS)
  for (const network of allowedNetworks) {
    if (!ipaddr.isValidCIDR(network)) {
      problems.push(`WEBHOOK_ALLOW_CIDRS must be a list of networks such as 10.1.0.0/16; this is not one: ${network}`)
    }
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

/** Returns whether the process runs in production, for reports that cannot wait for a valid configuration. */
export const isProduction = (): boolean => process.env['NODE_ENV'] === 'production'

/**
 * Returns the variables of the process, and those of a `.env` file in the working directory that the process does not
 * set.
 */
export function readEnvironment (): Record<string, string | undefined> {
  try {
    process.loadEnvFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return process.env
}

/** Shared, because Ajv caches a compiled schema by its object. */
const variablesAjv = new Ajv({
  coerceTypes: true, useDefaults: true, allErrors: true, removeAdditional: true, allowUnionTypes: true
})
const variablesSchema = { ...EnvironmentVariables }

/** Parses variables. Invalid ones are added to `problems` and left out, so that one run finds all of them. */
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
 * Divides a share of the process's memory among threads: their number is what the share can hold, and one thread never
 * takes all of it.
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

/** Returns the memory limit of the container; undefined without one. */
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
  if (key.length !== 32) {
    problems.push(`${name} must be 32 bytes in base64 (it is ${key.length}); make one with: openssl rand -base64 32`)
  }
  return key
}
