import { createHash, randomBytes } from 'node:crypto'
import type pg from 'pg'
import { readDatabaseIdentity } from '../../foundation/database-identity.ts'

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)

/**
 * Creates a connection's mark, which is part of the names and comments of what the connection creates. A copy of the
 * platform's database gets new marks (src/cdc/source/copied-home.ts).
 */
export const newMark = (): string => randomBytes(6).toString('hex')

/**
 * Returns the default name of a connection's slot and publication. It ends with the connection's mark, which no other
 * program uses.
 */
export const ownName = (prefix: string, mark: string): string => `${prefix}_${mark}`
export const carriesMark = (name: string, mark: string): boolean => name.endsWith(`_${mark}`)

/** Returns the comment of a publication that the connection created; it is set in the same transaction. */
export const publicationComment = (mark: string): string => `Created by the realtime platform (${mark})`

/**
 * Returns the suffix of the application name of every session that holds a connection's slot. By it the platform
 * recognises its own sessions and never ends others. It depends on the platform's database, so a copy of that database,
 * which has the same connections, marks its sessions differently.
 */
export const readSessionMark = async (pool: pg.Pool, connectionId: string): Promise<string> =>
  digest(`${await readDatabaseIdentity(pool)} ${connectionId}`)
