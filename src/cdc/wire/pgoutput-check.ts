import { overlongTag } from './overlong-message.ts'
import { ProtocolError } from './protocol-error.ts'

/** PostgreSQL allows 63 bytes before it converts them to another encoding. */
const nameBytesMax = 63 * 4
/** PostgreSQL's limit for the columns of a table. */
const columnsMax = 1600
/** Limits for the tables that a stream describes: each description is kept until the stream ends. */
const describedMax = { count: 50_000, bytes: 64 * 1024 * 1024 }

const wrong = () => new ProtocolError('A change in the stream is malformed')

/**
 * Checks messages of pgoutput (protocol version 1) before they are parsed: lengths, counts, trailing bytes, and that
 * rows have the columns of a described table. Throws ProtocolError.
 */
export class PgoutputCheck {
  readonly #tables = new Map<number, { columns: number, bytes: number }>()
  readonly #types = new Set<number>()
  #bytes = 0
  #isInTransaction = false

  check (message: Buffer): void {
    const at = new Cursor(message)
    const tag = String.fromCharCode(at.byte())
    switch (tag) {
      case 'B': this.#turn(true); at.skip(20); break
      case 'C': this.#turn(false); at.skip(25); break
      case 'O': at.skip(8); at.text(); break
      case 'Y': this.#type(at, message.length); break
      case 'R': this.#relation(at, message.length); break
      case 'I': this.#row(at, 'N', this.#columnsOf(at)); break
      case 'U': this.#update(at); break
      case 'D': this.#row(at, 'KO', this.#columnsOf(at)); break
      case 'T': this.#truncate(at); break
      case overlongTag: this.#overlong(at); break
      case 'M': at.skip(9); at.text(); at.skip(at.int32()); break
      default: throw wrong()
    }
    if (!at.isAtEnd) throw wrong()
  }

  /** Checks that transactions do not overlap. */
  #turn (isBegin: boolean): void {
    if (isBegin === this.#isInTransaction) {
      throw new ProtocolError(
        isBegin ? 'The stream begins a transaction within another' : 'The stream commits without a transaction'
      )
    }
    this.#isInTransaction = isBegin
  }

  #describe (count: number, bytes: number): void {
    this.#bytes += bytes
    if (count > describedMax.count || this.#bytes > describedMax.bytes) {
      throw new ProtocolError(
        `The stream describes more than ${describedMax.count} tables or ${describedMax.bytes} bytes of them`
      )
    }
  }

  #type (at: Cursor, bytes: number): void {
    const oid = at.int32()
    at.name()
    at.name()
    const isKnown = this.#types.has(oid)
    this.#types.add(oid)
    this.#describe(this.#types.size, isKnown ? 0 : bytes)
  }

  #relation (at: Cursor, bytes: number): void {
    const oid = at.int32()
    at.name()
    at.name()
    if (!'dnfi'.includes(String.fromCharCode(at.byte()))) throw wrong()
    const columns = at.int16()
    if (columns < 0 || columns > columnsMax) throw wrong()
    for (let i = 0; i < columns; i++) {
      at.skip(1)
      at.name()
      at.skip(8)
    }
    // A new description replaces the earlier one of the table.
    const known = this.#tables.get(oid)?.bytes ?? 0
    this.#tables.set(oid, { columns, bytes })
    this.#describe(this.#tables.size, bytes - known)
  }

  #columnsOf (at: Cursor): number {
    const table = this.#tables.get(at.int32())
    if (table === undefined) throw new ProtocolError('The stream changes a table that it has not described')
    return table.columns
  }

  #update (at: Cursor): void {
    const columns = this.#columnsOf(at)
    if (this.#row(at, 'KON', columns) !== 'N') this.#row(at, 'N', columns)
  }

  /** Checks a row of one of these kinds. Returns its kind. */
  #row (at: Cursor, kinds: string, columns: number): string {
    const kind = String.fromCharCode(at.byte())
    if (!kinds.includes(kind) || at.int16() !== columns) throw wrong()
    for (let i = 0; i < columns; i++) {
      const form = at.byte()
      if (form === 0x74) at.skip(at.int32())
      else if (form !== 0x6e && form !== 0x75) throw wrong()
    }
    return kind
  }

  #overlong (at: Cursor): void {
    if (!'IUD'.includes(String.fromCharCode(at.byte()))) throw wrong()
    this.#columnsOf(at)
    at.skip(4)
  }

  #truncate (at: Cursor): void {
    const count = at.int32()
    at.skip(1)
    if (count < 0 || count > describedMax.count) throw wrong()
    for (let i = 0; i < count; i++) this.#columnsOf(at)
  }
}

class Cursor {
  readonly #buffer: Buffer
  #at = 0

  constructor (buffer: Buffer) {
    this.#buffer = buffer
  }

  get isAtEnd (): boolean { return this.#at === this.#buffer.length }

  skip (bytes: number): number {
    const from = this.#at
    if (bytes < 0 || bytes > this.#buffer.length - from) throw wrong()
    this.#at += bytes
    return from
  }

  byte (): number { return this.#buffer[this.skip(1)] as number }
  int16 (): number { return this.#buffer.readInt16BE(this.skip(2)) }
  int32 (): number { return this.#buffer.readInt32BE(this.skip(4)) }

  text (): void {
    const zero = this.#buffer.indexOf(0, this.#at)
    if (zero === -1) throw wrong()
    this.#at = zero + 1
  }

  name (): void {
    const from = this.#at
    this.text()
    if (this.#at - 1 - from > nameBytesMax) {
      throw new ProtocolError('The stream describes a table or type with a name that is too long')
    }
  }
}
