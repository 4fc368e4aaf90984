import { createHash } from 'node:crypto'
import type pg from 'pg'
import { readDatabaseIdentity } from '../../database-identity.ts'

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)

/** The name of a connection's slot and publication unless another one is given. It ends with the connection's mark, which no other program chooses. */
export const ownName = (prefix: string, connectionId: string): string => `${prefix}_${digest(connectionId)}`
export const carriesMark = (name: string, connectionId: string): boolean => name.endsWith(`_${digest(connectionId)}`)

/** The comment of a publication that was created for the connection: set in the transaction that creates it. */
export const publicationComment = (connectionId: string): string => `Created by the realtime platform (${digest(connectionId)})`

/**
 * Ends the application name of every session that holds a connection's slot, so that we end our own sessions and no others. It includes
 * the platform's own database: a copy of that database, which has the same connections, marks its sessions differently.
 */
export const readSessionMark = async (pool: pg.Pool, connectionId: string): Promise<string> => digest(`${await readDatabaseIdentity(pool)} ${connectionId}`)
