import { ProtocolError } from '../../cdc/wire/protocol-error.ts'

/** PostgreSQL's text of a place in the WAL, `16/B374D848`, as a number and back. Throws ProtocolError for a text that is none. */
export function parseLsn (text: string): bigint {
  const [, high, low] = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text) ?? []
  if (high === undefined || low === undefined) throw new ProtocolError('A place in the WAL is malformed')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

const lastLsn = 0xffff_ffff_ffff_ffffn

/** The first place behind the record that begins there: decoding that starts at it passes over a transaction whose commit that is. */
export const behind = (lsn: bigint): bigint => lsn < lastLsn ? lsn + 1n : lastLsn

export function formatLsn (lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}
