import type { Leftover } from '../../schemas/database.ts'
import { dropPublicationSql, dropSlot, dropSlotSql } from './cdc/slot-care.ts'
import { withSource } from './source.ts'

export interface OwnedParts { publication: string, slot: string, ownsSlot: boolean, ownsPublication: boolean }

/**
 * Drops what we made in a database that is no longer connected. A slot that is left keeps that database from removing
 * WAL, so that whatever is not dropped is said, with the statement. Never throws.
 */
export async function dropLeftovers (connectionString: string, { publication, slot, ownsSlot, ownsPublication }: OwnedParts): Promise<Leftover[]> {
  const attempt = async (name: Leftover['name'], isOwned: boolean, what: string, sql: string, work: () => Promise<unknown>): Promise<Leftover> => {
    if (!isOwned) return { name, status: 'kept', message: `The ${what} was there before us`, sql }
    try {
      await work()
      return { name, status: 'dropped', message: `The ${what} is dropped` }
    } catch (error) {
      return { name, status: 'failed', message: `The ${what} could not be dropped: ${(error as Error).message}`, sql }
    }
  }
  return [
    await attempt('slot', ownsSlot, 'replication slot', dropSlotSql(slot), () => withSource(connectionString, client => dropSlot(client, slot))),
    await attempt('publication', ownsPublication, 'publication', dropPublicationSql(publication), () => withSource(connectionString, client => client.query(dropPublicationSql(publication))))
  ]
}
