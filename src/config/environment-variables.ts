import { Type, type Static } from '@sinclair/typebox'

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
  WORKERS: Type.String({
    default: '1',
    description:
      'Number of processes that serve the port together, from 1 to 128, or `auto`: one per core, one less with the ' +
        'embedded PostgreSQL. Each is a node.'
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
        'Redis or Valkey, which connects several nodes. Unset: events of nodes that are not workers of one ' +
          'command arrive about a second later, and channels, presence and rate limits are local to each command.'
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
  CONSOLE_DIR: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'The folder of the built console. Unset: `ui/dist`, if it is built; otherwise `/` leads to `/docs`.'
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
    description:
      'Limit of requests per minute and principal, `append` over sockets included, over all workers, and with ' +
        'REDIS_URL over all nodes. 0: no limit.'
  }),
  RATE_LIMIT_APPLICATION_MAX: Type.Integer({
    default: 0, minimum: 0,
    description:
      'Limit of requests per minute and application, `append` over sockets included, over all workers, and with ' +
        'REDIS_URL over all nodes. 0: no limit.'
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
        'Memory limit of the server, of which each worker has an equal share. Near it, requests are refused. Unset: ' +
          'the limit of the container, otherwise the heap limit plus 1 GiB for each process.'
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
  QUOTA_PUBLISHES_PER_SECOND: Type.Optional(
    Type.Integer({
      minimum: 1, maximum: 2_000_000_000,
      description: 'Default quota of events per second of an application, over all nodes. Unset: no limit.'
    })
  ),
  QUOTA_BYTES_STORED: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: Number.MAX_SAFE_INTEGER,
      description: 'Default quota of bytes of events that an application has in the log. Unset: no limit.'
    })
  ),
  QUOTA_SOCKETS: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: 2_000_000_000,
      description: 'Default quota of open sockets of an application, over all nodes. Unset: no limit.'
    })
  ),
  QUOTA_SUBSCRIPTIONS: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: 2_000_000_000,
      description: 'Default quota of subscriptions of an application, over all nodes. Unset: no limit.'
    })
  ),
  QUOTA_WEBHOOKS: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: 2_000_000_000,
      description: 'Default quota of webhooks of an application. Unset: no limit.'
    })
  ),
  QUOTA_DOCUMENTS: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: 2_000_000_000,
      description: 'Default quota of documents of an application. Unset: no limit.'
    })
  ),
  EVENT_RETENTION_HOURS: Type.Integer({
    default: 72, minimum: 1, maximum: 87600,
    description: 'Hours for which the log keeps events of topics without a retention of their own.'
  }),
  AUDIT_RETENTION_DAYS: Type.Integer({
    default: 400, minimum: 0, maximum: 36500,
    description: 'Days for which the audit log keeps entries. 0: forever.'
  }),
  ALERT_INTERVAL_SECONDS: Type.Integer({
    default: 15, minimum: 1, maximum: 300,
    description: 'Seconds between two evaluations of the rules of alerts. One node at a time evaluates them.'
  }),
  ALERT_RETENTION_DAYS: Type.Integer({
    default: 90, minimum: 1, maximum: 36500, description: 'Days for which resolved alerts are kept.'
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
  OIDC_ISSUER: Type.Optional(
    Type.String({
      description:
        'The URL of an OpenID Connect provider, to sign in with it (AUTH.md has a guide). Requires PUBLIC_URL, ' +
          'OIDC_CLIENT_ID and OIDC_ROLE_MAP. Unset: passwords only.'
    })
  ),
  OIDC_CLIENT_ID: Type.Optional(
    Type.String({ minLength: 1, description: 'The id of this server at the provider.' })
  ),
  OIDC_CLIENT_SECRET: Type.Optional(
    Type.String({ minLength: 1, description: 'The secret of this server at the provider. Unset: a public client.' })
  ),
  OIDC_SCOPES: Type.String({
    default: 'openid email profile', pattern: '^[!-~]+( [!-~]+)*$',
    description: 'Scopes to request, separated by spaces.'
  }),
  OIDC_ROLE_CLAIM: Type.String({
    default: 'groups', minLength: 1, maxLength: 200,
    description: 'The claim that decides about roles: a text or a list of texts. `realm_access.roles` is a nested one.'
  }),
  OIDC_ROLE_MAP: Type.Optional(
    Type.String({
      description:
        'The roles that each value of the claim grants, as JSON: ' +
          '`{"admins":{"role":"super_admin"},"devs":{"role":"editor","applicationId":"app_…"}}`. Users without a ' +
          'mapped value cannot sign in.'
    })
  ),
  OIDC_ONLY: Type.Boolean({
    default: false, description: 'Refuses passwords and invites: everybody signs in with the provider.'
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
  'DATABASE_URL', 'REDIS_URL', 'ENCRYPTION_KEY', 'ENCRYPTION_KEYS_OLD', 'METRICS_TOKEN', 'SMTP_URL',
  'OIDC_CLIENT_SECRET'
])
