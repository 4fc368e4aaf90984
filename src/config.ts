import { totalmem } from 'node:os'
import { resolve } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import ipaddr from 'ipaddr.js'
import type { Quotas } from '../schemas/quotas.ts'
import { defaultAlertSettings, type AlertSettings } from './config/alert-settings.ts'
import { defaultCdcTiming, threadShares, type CdcSettings } from './config/cdc-settings.ts'
import { defaultClusterSettings, type ClusterSettings } from './config/cluster-settings.ts'
import { defaultDeliveryLimits, type DeliveryLimits } from './config/delivery-limits.ts'
import type { HttpSettings } from './config/http-settings.ts'
import { oidcSettings, type OidcSettings } from './config/oidc-settings.ts'
import { encryptionKey, list, parseVariables, toMilliseconds } from './config/parse-variables.ts'
import type { TraceSettings } from './config/trace-settings.ts'
import { defaultWebhookLimits, type WebhookSettings } from './config/webhook-settings.ts'
import { coresOf, workerCount } from './config/worker-count.ts'

/** Share of the heap limit and of the process's memory. Above it, requests are refused before memory runs out. */
const memoryShareMax = 0.9
/** Share of the process's memory for buffers outside the heap. */
const externalShareMax = 0.6
/** Memory beside the heap when no container limits the process. */
const outsideHeapBytes = 1024 ** 3
const hourMs = 3_600_000

/** The configuration, grouped by concern. Only this file reads the environment. */
export interface Config {
  isProduction: boolean
  /**
   * The processes that serve the port together, the cores that they may use, and the memory of each if it has a limit.
   */
  workers: { count: number, cores: number, memoryBytesMax: number | undefined }
  http: HttpSettings
  database: { url: string | undefined, embedded: boolean, dataDir: string, poolMax: number }
  /** `prefix` starts the name of every channel and key. */
  redis: { url: string | undefined, prefix: string }
  cluster: ClusterSettings
  encryptionKeys: Buffer[]
  /** `access` enables a log line for each request and socket. */
  log: { level: string, access: boolean }
  mail: { smtpUrl: string | undefined, from: string | undefined }
  events: { retentionMs: number }
  /** The quotas of applications that have none of their own. */
  quotas: Quotas
  audit: { retentionDays: number }
  alerts: AlertSettings
  traces: TraceSettings
  metrics: { token: string | undefined }
  /** `setupToken` is the one that all workers accept; otherwise a process makes its own. */
  auth: { issuer: string, tokenTtlS: number, sessionTtlMs: number, setupToken?: string }
  /** Undefined without an identity provider. */
  oidc: OidcSettings | undefined
  delivery: DeliveryLimits
  cdc: CdcSettings
  webhooks: WebhookSettings
  shutdownTimeoutMs: number
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
  const oidc = oidcSettings({
    issuer: parsed.OIDC_ISSUER,
    clientId: parsed.OIDC_CLIENT_ID,
    clientSecret: parsed.OIDC_CLIENT_SECRET,
    scopes: parsed.OIDC_SCOPES,
    roleClaim: parsed.OIDC_ROLE_CLAIM,
    roleMap: parsed.OIDC_ROLE_MAP,
    isOnly: parsed.OIDC_ONLY,
    publicUrl: parsed.PUBLIC_URL,
    corsOrigins: list(parsed.CORS_ORIGINS)
  }, problems)
  const cores = coresOf()
  const count = workerCount(parsed.WORKERS, embedded, cores, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  const sharedBytesMax = parsed.MEMORY_BYTES_MAX ?? containerBytesMax()
  const workers = {
    count, cores,
    memoryBytesMax: sharedBytesMax === undefined ? undefined : Math.floor(sharedBytesMax / count)
  }
  const heapBytesMax = getHeapStatistics().heap_size_limit
  const memoryBytesMax = workers.memoryBytesMax ?? heapBytesMax + outsideHeapBytes
  const bodiesBytesMax = parsed.REQUEST_BODIES_BYTES_MAX ?? Math.min(128 * 1024 ** 2, Math.floor(heapBytesMax / 16))
  const heldBytesMax = parsed.HELD_BYTES_MAX ?? Math.floor(heapBytesMax / 4)
  return {
    isProduction,
    workers,
    http: {
      host: parsed.HOST,
      port: parsed.PORT,
      publicUrl: parsed.PUBLIC_URL,
      consoleFolder: parsed.CONSOLE_DIR === undefined ? undefined : resolve(parsed.CONSOLE_DIR),
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
    quotas: {
      publishesPerSecond: parsed.QUOTA_PUBLISHES_PER_SECOND ?? null,
      bytesStored: parsed.QUOTA_BYTES_STORED ?? null,
      sockets: parsed.QUOTA_SOCKETS ?? null,
      subscriptions: parsed.QUOTA_SUBSCRIPTIONS ?? null,
      webhooks: parsed.QUOTA_WEBHOOKS ?? null,
      documents: parsed.QUOTA_DOCUMENTS ?? null
    },
    events: { retentionMs: parsed.EVENT_RETENTION_HOURS * hourMs },
    audit: { retentionDays: parsed.AUDIT_RETENTION_DAYS },
    alerts: {
      ...defaultAlertSettings,
      intervalMs: parsed.ALERT_INTERVAL_SECONDS * 1000,
      retentionMs: parsed.ALERT_RETENTION_DAYS * 24 * hourMs
    },
    traces: {
      retentionMs: parsed.TRACE_RETENTION_HOURS * hourMs, sample: parsed.TRACE_SAMPLE, pendingMax: 100_000,
      heartbeatMs: 15_000, readersWaitMs: 1000
    },
    metrics: { token: parsed.METRICS_TOKEN },
    auth: {
      issuer: parsed.JWT_ISSUER, tokenTtlS: parsed.TOKEN_TTL_SECONDS, sessionTtlMs: parsed.SESSION_TTL_HOURS * hourMs
    },
    oidc,
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

/** Returns the memory limit of the container; undefined without one. */
function containerBytesMax (): number | undefined {
  const bytes = process.constrainedMemory()
  return bytes > 0 && bytes < totalmem() ? bytes : undefined
}
