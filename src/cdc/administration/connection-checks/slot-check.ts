import type { ConnectionCheck } from '../../../../schemas/database.ts'
import { dropSlotSql, readSlot, type SlotRow } from '../../source/slot.ts'
import type { SourceClient } from '../../source/source.ts'
import { failed, ok, type Subject } from './check.ts'
import { readServerLimits } from './server-limits.ts'

/** Checks whether the connection can use its replication slot, or can create it. */
export async function examineSlot (client: SourceClient, { slot, isOwn }: Subject): Promise<ConnectionCheck> {
  const found = await readSlot(client, slot)
  if (found === undefined) return await checkFreeSlots(client, slot)
  if (!isOwn(found)) return refuseForeignSlot(slot, found)
  if (found.walStatus === 'lost') {
    return failed(
      'slot', `The replication slot ${slot} was invalidated: PostgreSQL has removed the WAL after its position`
    )
  }
  return ok('slot', `The replication slot ${slot} exists${found.active ? ' and is being read' : ''}`)
}

function refuseForeignSlot (slot: string, { active }: SlotRow): ConnectionCheck {
  return active
    ? failed('slot', `Another program holds the replication slot ${slot}: choose another name`)
    : failed(
      'slot',
      `The replication slot ${slot} exists, and this connection did not create it: choose another name, or drop it ` +
        'if nothing needs it',
      dropSlotSql(slot)
    )
}

async function checkFreeSlots (client: SourceClient, slot: string): Promise<ConnectionCheck> {
  const { slots, slots_max: most } = await readServerLimits(client)
  return slots < most
    ? ok('slot', `${slots} of ${most} replication slots are in use; ${slot} will be created`)
    : failed(
      'slot',
      `All ${most} replication slots are in use`,
      `ALTER SYSTEM SET max_replication_slots = ${most + 10}; -- then restart the server`
    )
}
