import { PostgresDialect, PostgresDriver, type DatabaseConnection, type Driver, type Kysely } from 'kysely'
import type { Database } from './tables.ts'

const waiting = new WeakMap<DatabaseConnection, (() => void)[]>()

/**
 * Calls `work` once the transaction is committed, never if it is rolled back, and at once outside of a transaction. The
 * database must use `CommitDialect`.
 */
export async function afterCommit (trx: Kysely<Database>, work: () => void): Promise<void> {
  if (!trx.isTransaction) return work()
  await trx.getExecutor().provideConnection(async connection => {
    waiting.set(connection, [...waiting.get(connection) ?? [], work])
  })
}

/** Kysely's PostgreSQL dialect with support for `afterCommit`. */
export class CommitDialect extends PostgresDialect {
  readonly #pool: ConstructorParameters<typeof PostgresDriver>[0]['pool']

  constructor (config: ConstructorParameters<typeof PostgresDriver>[0]) {
    super(config)
    this.#pool = config.pool
  }

  override createDriver (): Driver {
    return new CommitDriver({ pool: this.#pool })
  }
}

class CommitDriver extends PostgresDriver {
  override async commitTransaction (connection: DatabaseConnection): Promise<void> {
    await super.commitTransaction(connection)
    const works = waiting.get(connection) ?? []
    waiting.delete(connection)
    for (const work of works) work()
  }

  override async rollbackTransaction (connection: DatabaseConnection): Promise<void> {
    waiting.delete(connection)
    await super.rollbackTransaction(connection)
  }
}
