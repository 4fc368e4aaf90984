/** The only role of the cluster. */
export const superuser = 'postgres'

/** The default settings of the server. */
const defaults: Record<string, string> = {
  cluster_name: 'realtime-platform',
  // Change data capture reads the WAL through logical slots.
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  // An abandoned reader loses its slot instead of filling the disk.
  max_slot_wal_keep_size: '2GB',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  max_connections: '200',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Would log a line every five minutes.
  log_checkpoints: 'off'
}

/**
 * Returns the settings as arguments of `postgres`. Arguments override every file in the cluster, so changed defaults
 * also apply to old clusters. The caller cannot change where the server listens: on this machine only, without a socket
 * file.
 */
export function settingArguments (extra: Record<string, string>, port: number): string[] {
  const settings = {
    ...defaults,
    ...extra,
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    // The supervisor reads standard error as the log file.
    logging_collector: 'off',
    log_destination: 'stderr',
    lc_messages: 'C'
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Returns the environment of PostgreSQL's programs, without variables that would affect them (PGDATA, PGPORT, LC_ALL,
 * TZ, …).
 */
export function toolEnvironment (): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}
