/** The only role of the cluster. */
export const superuser = 'postgres'

/** The settings of the server unless the caller says otherwise. */
const defaults: Record<string, string> = {
  cluster_name: 'realtime-platform',
  // change data capture reads the log through logical slots
  wal_level: 'logical',
  max_wal_senders: '20',
  max_replication_slots: '20',
  // a reader that never comes back loses its slot instead of filling the disk
  max_slot_wal_keep_size: '2GB',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  max_connections: '200',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // a line each five minutes that nobody asked for
  log_checkpoints: 'off'
}

/**
 * The settings as arguments of `postgres`. Given there they win over every file in the cluster, so a change of ours
 * takes effect on old clusters. Where the server listens is not for the caller to change: this machine only, no socket
 * file.
 */
export function settingArguments (extra: Record<string, string>, port: number): string[] {
  const settings = {
    ...defaults,
    ...extra,
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    // its standard error is the log file that the supervisor reads
    logging_collector: 'off',
    log_destination: 'stderr',
    lc_messages: 'C'
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** What PostgreSQL's programs see of our environment: nothing that would steer them (PGDATA, PGPORT, LC_ALL, TZ, …). */
export function toolEnvironment (): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}
