import type { Queryable } from './source.ts'
import { quoteIdentifier } from '../mappings/table-name.ts'
import { formatLsn, parseLsn } from './stream-state.ts'

export interface Search { slot: string, publication: string, sqlState: string, changeLsn: string }

/** Records begin at multiples of this. */
const alignment = 8n
const firstStride = 1024n
const pageHeaderBytes = { first: 40n, other: 24n }

/**
 * Finds the commit record of the transaction that PostgreSQL fails to decode, which PostgreSQL does not name: decoding
 * up to its start succeeds, and beyond it fails. The slot must be free; it does not move. Returns undefined when
 * decoding no longer fails.
 */
export async function findCommit (
  client: Queryable, { slot, publication, sqlState, changeLsn }: Search
): Promise<string | undefined> {
  // Otherwise texts that cannot be converted would fail here, though not in the stream.
  await client.query('SET client_encoding TO SQL_ASCII')
  const { rows: [settings] } = await client.query<{ block: string, segment: string, end: string }>(`
    select current_setting('wal_block_size') as block,
      pg_size_bytes(current_setting('wal_segment_size'))::text as segment, pg_current_wal_lsn()::text as end`)
  const end = parseLsn(settings?.end ?? '0/0')
  const fails = (lsn: bigint) => failsBefore(client, { slot, publication, sqlState, lsn: formatLsn(lsn + 1n) })

  let good = parseLsn(changeLsn) / alignment
  let bad = good
  for (let stride = firstStride / alignment; ; stride *= 2n) {
    bad += stride
    if (await fails(bad * alignment)) break
    if (bad * alignment > end) return undefined
    good = bad
  }
  while (bad - good > 1n) {
    const middle = (good + bad) / 2n
    if (await fails(middle * alignment)) bad = middle
    else good = middle
  }
  return formatLsn(behindHeader(bad * alignment, BigInt(settings?.block ?? 8192), BigInt(settings?.segment ?? 1)))
}

/** Returns where the first record of a page begins: after the page's header. */
function behindHeader (lsn: bigint, block: bigint, segment: bigint): bigint {
  if (lsn % block !== 0n) return lsn
  return lsn + (lsn % segment === 0n ? pageHeaderBytes.first : pageHeaderBytes.other)
}

/** Returns whether decoding fails among the records that begin before `lsn`, or at the first one from there. */
async function failsBefore (
  client: Queryable,
  { slot, publication, sqlState, lsn }: { slot: string, publication: string, sqlState: string, lsn: string }
): Promise<boolean> {
  try {
    await client.query(`
      select count(*) from pg_logical_slot_peek_binary_changes(
        $1, $2::pg_lsn, null, 'proto_version', '1', 'publication_names', $3, 'messages', 'false')`,
    [slot, lsn, quoteIdentifier(publication)])
    return false
  } catch (error) {
    if ((error as { code?: string }).code === sqlState) return true
    throw error
  }
}
