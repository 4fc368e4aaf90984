import { setTimeout as sleep } from 'node:timers/promises'
import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { system } from '../audit/origin.ts'
import { record } from '../audit/record.ts'
import { UnreadableSecretError, type Encryption } from '../../foundation/encryption/encryption.ts'
import { randomId } from '../../foundation/ids.ts'
import { sealedPlaces } from '../../foundation/encryption/reencrypt.ts'
import { generateSecret, isAlgorithm, openSecret, type Algorithm, type KeyMaterial } from './key-material.ts'

/** A key in use. The algorithm belongs to the key: a token cannot choose it. */
export interface SigningKey extends KeyMaterial {
  readonly id: string
  readonly algorithm: Algorithm
  /** Whether the key signs new tokens. An inactive key still verifies its tokens. */
  readonly isActive: boolean
  readonly createdAt: number
}

export interface SigningKeysOptions {
  db: Kysely<Database>
  encryption: Encryption
  log: { error (fields: object, message: string): void, warn (fields: object, message: string): void }
  /** How often the keys are read again, so that changes by other nodes take effect. */
  pollMs?: number
}

const keyIdForm = /^key_[A-Za-z0-9_-]{1,64}$/
/** Minimum time between two queries for unknown `kid`s. All tokens with an unknown `kid` wait for the same query. */
const unknownKeyPauseMs = 250

/**
 * Caches the platform's signing keys; `id` is the `kid` of their tokens. The database is polled, and an unknown `kid`
 * causes a query, so that a key works on every node right after its creation. While the database is unavailable, the
 * last known keys stay in use.
 */
export class SigningKeys {
  readonly #options: SigningKeysOptions
  #keys: ReadonlyMap<string, SigningKey> = new Map()
  readonly #opened = new Map<string, KeyMaterial | undefined>()
  readonly #revokedListeners: ((keyId: string) => void)[] = []
  #reading: Promise<void> | undefined
  #readingNext: Promise<void> | undefined
  #lookingUp: Promise<void> | undefined
  #readAt = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #isDatabaseAway = false

  constructor (options: SigningKeysOptions) {
    this.#options = options
  }

  /** Creates the first key if there is none, on one of several nodes that start together. Then reads all keys. */
  async ensure (): Promise<void> {
    await this.#options.db.transaction().execute(async trx => {
      await lockSigningKeys(trx)
      const active = await trx.selectFrom('signing_keys').select('id').where('active', '=', true).where(
        'revoked_at', 'is', null
      ).executeTakeFirst()
      if (active !== undefined) return
      const { row: { id, algorithm, created_at: createdAt } } = await insertSigningKey(trx, this.#options.encryption, {
        algorithm: 'HS256'
      })
      await record(trx, system, {
        action: 'key.created', resourceId: id, after: { keyId: id, algorithm, active: true, createdAt }
      })
    })
    await this.refresh()
    if (this.active === undefined) {
      throw new UnreadableSecretError(
        'no signing key can be read. They were encrypted with a key that is neither ENCRYPTION_KEY nor in ' +
          'ENCRYPTION_KEYS_OLD'
      )
    }
  }

  /** The newest active key, which signs. */
  get active (): SigningKey | undefined {
    let newest: SigningKey | undefined
    for (const key of this.#keys.values()) {
      if (
        key.isActive &&
        (newest === undefined || key.createdAt > newest.createdAt ||
          (key.createdAt === newest.createdAt && key.id > newest.id))
      ) newest = key
    }
    return newest
  }

  /** Returns the public keys that are not revoked, newest first (RFC 7517). */
  jwks (): { keys: Record<string, unknown>[] } {
    const open = [...this.#keys.values()].filter(key => key.publicJwk !== undefined).sort((a, b) =>
      b.createdAt - a.createdAt
    )
    return { keys: open.map(({ id, algorithm, publicJwk }) => ({ ...publicJwk, kid: id, alg: algorithm, use: 'sig' })) }
  }

  /** Returns the key of a `kid`, or undefined if it is unknown or revoked. Queries the database for an unknown one. */
  async find (kid: string): Promise<SigningKey | undefined> {
    if (!this.#keys.has(kid) && keyIdForm.test(kid)) await (this.#lookingUp ??= this.#lookUp())
    return this.#keys.get(kid)
  }

  /** Returns whether the key is valid, from memory. */
  isGood (kid: string): boolean {
    return this.#keys.has(kid)
  }

  /** Calls back when a key is revoked, here or on another node. Its tokens are no longer valid. */
  onRevoked (listener: (keyId: string) => void): void {
    this.#revokedListeners.push(listener)
  }

  /** Reads the keys again. Call it after a change. */
  refresh (): Promise<void> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => { this.#reading = undefined })
      return this.#reading
    }
    // The current read may have begun before the caller's change, so the caller waits for the next one.
    this.#readingNext ??= this.#reading.catch(() => {}).then(() => {
      this.#readingNext = undefined
      return this.refresh()
    })
    return this.#readingNext
  }

  /** Polls for changes by other nodes until `close`. */
  start (): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(async () => {
      await this.#poll()
      this.start()
    }, this.#options.pollMs ?? 1000)
    this.#timer.unref()
  }

  close (): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  /**
   * Reads the keys, no sooner than the pause after the last read. All waiting callers share the read, and it begins
   * after each of them has called.
   */
  async #lookUp (): Promise<void> {
    await sleep(Math.max(0, this.#readAt + unknownKeyPauseMs - Date.now()), undefined, { ref: false })
    this.#lookingUp = undefined
    await this.refresh()
  }

  /** Never rejects. */
  async #poll (): Promise<void> {
    try {
      await this.refresh()
      this.#isDatabaseAway = false
    } catch (err) {
      if (!this.#isDatabaseAway && !this.#isClosed) this.#options.log.warn({ err }, 'signing_keys.refresh_failed')
      this.#isDatabaseAway = true
    }
  }

  async #read (): Promise<void> {
    this.#readAt = Date.now()
    const rows = await this.#options.db.selectFrom('signing_keys')
      .select(['id', 'algorithm', 'secret_sealed', 'active', 'created_at']).where('revoked_at', 'is', null).execute()
    const before = this.#keys
    const keys = new Map<string, SigningKey>()
    for (const row of rows) {
      const material = isAlgorithm(row.algorithm) ? this.#open(row.id, row.algorithm, row.secret_sealed) : undefined
      if (material !== undefined) {
        keys.set(row.id, {
          ...material,
          id: row.id,
          algorithm: row.algorithm as Algorithm,
          isActive: row.active,
          createdAt: row.created_at
        })
      }
    }
    this.#keys = keys
    for (const id of before.keys()) {
      if (keys.has(id)) continue
      this.#opened.delete(id)
      for (const listener of this.#revokedListeners) listener(id)
    }
  }

  /** Decrypts each secret once, and logs once if it cannot. */
  #open (id: string, algorithm: Algorithm, sealed: string): KeyMaterial | undefined {
    if (!this.#opened.has(id)) {
      let material: KeyMaterial | undefined
      try {
        material = openSecret(algorithm, this.#options.encryption.decrypt(sealed, sealedPlaces.signingKey(id)))
      } catch (err) {
        this.#options.log.error({ err, keyId: id }, 'signing_keys.unreadable')
      }
      this.#opened.set(id, material)
    }
    return this.#opened.get(id)
  }
}

/** Takes a lock, across all nodes and until the transaction ends, that serialises changes of the keys. */
export async function lockSigningKeys (trx: Kysely<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('realtime.signing_keys'))`.execute(trx)
}

/**
 * Inserts a new active key, with a creation time after all others whatever the clocks of the nodes. Returns its row and
 * its secret.
 */
export async function insertSigningKey (
  trx: Kysely<Database>, encryption: Encryption, { algorithm }: { algorithm: Algorithm }
) {
  const secret = generateSecret(algorithm)
  const newest = await trx.selectFrom('signing_keys').select(eb => eb.fn.max('created_at').as('at')).executeTakeFirst()
  const id = randomId('key')
  const row = await trx.insertInto('signing_keys').values({
    id,
    algorithm,
    secret_sealed: encryption.encrypt(secret, sealedPlaces.signingKey(id)),
    active: true,
    created_at: Math.max(Date.now(), Number(newest?.at ?? 0) + 1),
    deactivated_at: null,
    revoked_at: null
  }).returningAll().executeTakeFirstOrThrow()
  return { row, secret }
}
