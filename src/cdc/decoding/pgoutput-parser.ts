import type { Pgoutput } from 'pg-logical-replication'
import { overlongTag } from '../wire/overlong-message.ts'
import { formatLsn } from '../source/stream-state.ts'
import { Undecodable, type DecodeText } from './text-decoder.ts'

type Relation = Pgoutput.MessageRelation
/** A row change that exceeds the limit. None of its values was read. */
export interface OverlongChange {
  tag: 'overlong'
  relation: Relation
  operation: 'insert' | 'update' | 'delete'
  bytes: number
}
export type StreamMessage = Pgoutput.Message | OverlongChange

type Tuple = Record<string, string | Undecodable | null | undefined>

const identities: Record<string, Relation['replicaIdentity']> = { d: 'default', n: 'nothing', f: 'full', i: 'index' }
const operations: Record<string, OverlongChange['operation']> = { I: 'insert', U: 'update', D: 'delete' }
/** Microseconds from 1970 to 2000, where PostgreSQL's time starts. */
const epochMicroseconds = BigInt(Date.UTC(2000, 0, 1)) * 1000n

/**
 * Parses messages of pgoutput, protocol version 1, that have passed PgoutputCheck. Values stay text, and are decoded
 * column by column. A value that is not valid in the database's encoding becomes `Undecodable` and affects no other
 * value.
 */
export class PgoutputParser {
  readonly #decode: DecodeText
  readonly #relations = new Map<number, Relation>()
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0

  constructor (decode: DecodeText) {
    this.#decode = decode
  }

  parse (message: Buffer): StreamMessage {
    this.#bytes = message
    this.#at = 0
    const tag = this.#char()
    switch (tag) {
      case 'B':
        return { tag: 'begin', commitLsn: this.#lsn(), commitTime: this.#time(), xid: this.#int32() }
      case 'C':
        return {
          tag: 'commit', flags: this.#byte(), commitLsn: this.#lsn(), commitEndLsn: this.#lsn(),
          commitTime: this.#time()
        }
      case 'O':
        return { tag: 'origin', originLsn: this.#lsn(), originName: this.#name() }
      case 'Y':
        return { tag: 'type', typeOid: this.#int32(), typeSchema: this.#name(), typeName: this.#name() }
      case 'R':
        return this.#relation()
      case 'I':
        return this.#insert()
      case 'U':
        return this.#update()
      case 'D':
        return this.#delete()
      case 'T':
        return this.#truncate()
      case overlongTag:
        return this.#overlong()
      default:
        return {
          tag: 'message', flags: 0, transactional: false, messageLsn: null, prefix: '', content: Buffer.alloc(0)
        }
    }
  }

  #relation (): Relation {
    const relationOid = this.#int32()
    const schema = this.#name()
    const name = this.#name()
    const replicaIdentity = identities[this.#char()] ?? 'default'
    const columns = Array.from({ length: this.#int16() }, () => ({
      flags: this.#byte(),
      name: this.#name(),
      typeOid: this.#int32(),
      typeMod: this.#int32(),
      typeSchema: null,
      typeName: null,
      parser: (text: unknown) => text
    }))
    const keyColumns = columns.filter(({ flags }) => (flags & 1) === 1).map(column => column.name)
    const relation: Relation = { tag: 'relation', relationOid, schema, name, replicaIdentity, columns, keyColumns }
    this.#relations.set(relationOid, relation)
    return relation
  }

  #insert (): Pgoutput.MessageInsert {
    const relation = this.#related()
    this.#byte()
    return { tag: 'insert', relation, new: this.#tuple(relation) }
  }

  #update (): Pgoutput.MessageUpdate {
    const relation = this.#related()
    const kind = this.#char()
    const before = kind === 'N' ? undefined : this.#tuple(relation)
    if (before !== undefined) this.#byte()
    const old = kind === 'O' ? before : undefined
    return {
      tag: 'update', relation, key: kind === 'K' ? keyOf(relation, before) : null, old: old ?? null,
      new: this.#tuple(relation, old)
    }
  }

  #delete (): Pgoutput.MessageDelete {
    const relation = this.#related()
    const isKey = this.#char() === 'K'
    const before = this.#tuple(relation)
    return { tag: 'delete', relation, key: isKey ? keyOf(relation, before) : null, old: isKey ? null : before }
  }

  #overlong (): OverlongChange {
    const operation = operations[this.#char()] ?? 'update'
    return { tag: 'overlong', operation, relation: this.#related(), bytes: this.#int32() }
  }

  #truncate (): Pgoutput.MessageTruncate {
    const count = this.#int32()
    const flags = this.#byte()
    const relations = Array.from({ length: count }, () => this.#related())
    return { tag: 'truncate', cascade: (flags & 1) === 1, restartIdentity: (flags & 2) === 2, relations }
  }

  /** Reads a tuple. An unchanged TOASTed value is taken from the old row, if that is known. */
  #tuple ({ columns }: Relation, before?: Tuple): Tuple {
    const tuple: Tuple = Object.create(null) as Tuple
    const count = this.#int16()
    for (let i = 0; i < count; i++) {
      const name = columns[i]?.name ?? ''
      const kind = this.#char()
      if (kind === 'n') tuple[name] = null
      else if (kind === 'u') tuple[name] = before?.[name]
      else tuple[name] = this.#decode(this.#read(this.#int32()))
    }
    return tuple
  }

  #related (): Relation {
    const relation = this.#relations.get(this.#int32())
    if (relation === undefined) throw new Error('the stream changes a table that it has not described')
    return relation
  }

  /** Reads a name. One that is not valid text becomes a name that no mapping can use. */
  #name (): string {
    const end = this.#bytes.indexOf(0, this.#at)
    const bytes = this.#read(end - this.#at)
    this.#at++
    const name = this.#decode(bytes)
    return name instanceof Undecodable ? `\uFFFD${bytes.toString('latin1')}` : name
  }

  #read (length: number): Buffer {
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  #byte (): number { return this.#bytes.readUInt8(this.#at++) }
  #char (): string { return String.fromCharCode(this.#byte()) }

  #int16 (): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  #int32 (): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  #int64 (): bigint {
    this.#at += 8
    return this.#bytes.readBigUInt64BE(this.#at - 8)
  }

  #lsn (): string { return formatLsn(this.#int64()) }
  #time (): bigint { return this.#int64() + epochMicroseconds }
}

/** Reads a key. In a tuple of the key alone, null stands for a column outside the key: a key has no nulls. */
function keyOf ({ keyColumns }: Relation, tuple: Tuple = {}): Tuple {
  const key: Tuple = Object.create(null) as Tuple
  for (const column of keyColumns) key[column] = tuple[column] ?? undefined
  return key
}
