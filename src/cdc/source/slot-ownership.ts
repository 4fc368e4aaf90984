import { createHash, randomBytes } from 'node:crypto'
import type pg from 'pg'
import { readDatabaseIdentity } from '../../foundation/database-identity.ts'

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)

/**
 * A connection's mark is in the names and comments of what it creates. A copy of the platform's database gets new marks
 * (src/cdc/source/copied-home.ts).
 */
export const newMark = (): string => randomBytes(6).toString('hex')

/**
 * The name of a connection's slot and publication unless another one is given. It ends with the connection's mark,
 * which no other program chooses.
 */
export const ownName = (prefix: string, mark: string): string => `${prefix}_${mark}`
export const carriesMark = (name: string, mark: string): boolean => name.endsWith(`_${mark}`)

/** The comment of a publication that was created for the connection: set in the transaction that creates it. */
export const publicationComment = (mark: string): string => `Created by the realtime platform (${mark})`

/**
 * Ends the application name of every session that holds a connection's slot, so that we end our own sessions and no
 * others. It includes the platform's own database: a copy of that database, which has the same connections, marks its
 * sessions differently.
 */
export const readSessionMark = async (pool: pg.Pool, connectionId: string): Promise<string> =>
  digest(`${await readDatabaseIdentity(pool)} ${connectionId}`)
