import { isExactNumber, smallestNormal } from '../../foundation/exact-numbers.ts'
import type { SourceClient } from '../source/source.ts'

/** Converts PostgreSQL's text of a value to JSON that keeps its meaning. */
export type Decode = (text: string) => unknown

const asIs: Decode = text => text

const integer: Decode = text => Number(text)

/** Keeps integers beyond 2^53 as text, because a number would change them. */
const wideInteger: Decode = text => {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}

/** Any decimal of 15 digits survives the conversion to a double and back. */
const digitsKept = 15

const numeric: Decode = text => {
  const value = Number(text)
  if (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER) return text
  const digits = text.replace(/^-?0*\.?0*|\.|0+$/g, '').length
  if (digits > digitsKept) return Number.isSafeInteger(value) && isExactNumber(text) ? value : text
  return digits === 0 || Math.abs(value) >= smallestNormal ? value : text
}

/** Keeps NaN and the infinities, which JSON lacks, as PostgreSQL writes them. */
const float: Decode = text => {
  const value = Number(text)
  return Number.isFinite(value) ? value : text
}

const dateForm = /^(\d{4,})-(\d\d-\d\d)(?: (\d.*?))?( BC)?$/

/**
 * Converts `2024-01-15 10:00:00.123456+00` to ISO 8601, with microseconds if present. Years outside 0000–9999 get a
 * sign and six digits, as ECMAScript expects. `infinity` stays.
 */
function isoTime (text: string, zone: string): string {
  const [, year = '', day = '', time, era] = dateForm.exec(text) ?? []
  if (year === '') return text
  const number = era === undefined ? Number(year) : 1 - Number(year)
  const isoYear = number >= 0 && number <= 9999
    ? String(number).padStart(4, '0')
    : `${number < 0 ? '-' : '+'}${String(Math.abs(number)).padStart(6, '0')}`
  return `${isoYear}-${day}${time === undefined ? '' : `T${time.replace(/\+00$/, '')}${zone}`}`
}

const bytes: Decode = text => Buffer.from(text.slice(2), 'hex').toString('base64')

/** Finds numbers that a double might change or cannot hold. */
const suspicious = /[\d.]{16}|\d[eE]/
const jsonToken = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g

/** Parses JSON. Numbers that a double would change become texts, as those of columns do. */
const json: Decode = text => JSON.parse(suspicious.test(text) ? text.replace(jsonToken, exactNumber) : text)

function exactNumber (token: string): string {
  if (token.startsWith('"')) return token
  return Math.abs(Number(token)) > Number.MAX_SAFE_INTEGER || !isExactNumber(token) ? `"${token}"` : token
}

/** Parses int2vector and oidvector, which the catalogue lists as arrays but which are written without braces. */
const vector: Decode = text => text === '' ? [] : text.split(' ').map(Number)

const byOid: Record<number, Decode> = {
  16: text => text === 't',
  17: bytes,
  20: wideInteger,
  21: integer,
  22: vector,
  23: integer,
  26: integer,
  30: vector,
  114: json,
  700: float,
  701: float,
  1082: text => isoTime(text, ''),
  1114: text => isoTime(text, ''),
  1184: text => isoTime(text, 'Z'),
  1700: numeric,
  3802: json
}

interface TypeRow {
  oid: number
  typtype: string
  typbasetype: number
  typelem: number
  typdelim: string
  is_array: boolean
}

/**
 * Decodes the values of a database's types. Looks up arrays, domains and other types that are not built in once. Reads
 * a type that is no longer in the catalogue as text.
 */
export class ColumnTypes {
  readonly #decoders = new Map<number, Decode>(Object.entries(byOid).map(([oid, decode]) => [Number(oid), decode]))

  has (oid: number): boolean {
    return this.#decoders.has(oid)
  }

  of (oid: number): Decode {
    return this.#decoders.get(oid) ?? asIs
  }

  /**
   * Loads types in rounds, each with the types that the previous round named: domains may be based on domains, and
   * arrays may contain domains.
   */
  async load (client: SourceClient, oids: readonly number[]): Promise<void> {
    const rows = new Map<number, TypeRow>()
    for (let wanted = this.#unknown(oids); wanted.length > 0;) {
      const found = await client.query<TypeRow>(`
        select oid::bigint::float8 as oid, typtype::text, typbasetype::bigint::float8 as typbasetype,
          typelem::bigint::float8 as typelem,
          (select e.typdelim::text from pg_type e where e.oid = t.typelem) as typdelim,
          exists (select from pg_type e where e.typarray = t.oid) as is_array
        from pg_type t where oid = any($1::text[]::oid[])`, [wanted.map(String)])
      for (const row of found.rows) rows.set(row.oid, row)
      for (const oid of wanted) if (!rows.has(oid)) this.#decoders.set(oid, asIs)
      wanted = this.#unknown(
        found.rows.flatMap(row => row.is_array ? [row.typelem] : row.typtype === 'd' ? [row.typbasetype] : [])
      ).filter(oid => !rows.has(oid))
    }
    for (const oid of rows.keys()) this.#resolve(oid, rows)
  }

  #unknown (oids: readonly number[]): number[] {
    return [...new Set(oids)].filter(oid => !this.#decoders.has(oid))
  }

  #resolve (oid: number, rows: ReadonlyMap<number, TypeRow>): Decode {
    const known = this.#decoders.get(oid)
    const row = rows.get(oid)
    if (known !== undefined || row === undefined) return known ?? asIs
    let decode = asIs
    if (row.typtype === 'd') decode = this.#resolve(row.typbasetype, rows)
    else if (row.is_array) {
      const element = this.#resolve(row.typelem, rows)
      decode = text => parseArrayText(text, row.typdelim, element)
    }
    this.#decoders.set(oid, decode)
    return decode
  }
}

/**
 * Parses the text form of an array, such as `{1,NULL,"a \"b\""}`: nested, with or without bounds (`[0:1]={…}`). Passes
 * elements to `parse`. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function parseArrayText (text: string, delimiter: string, parse: (element: string) => unknown): unknown[] {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  return list()

  function list (): unknown[] {
    const items: unknown[] = []
    at++
    while (at < text.length && text[at] !== '}') {
      items.push(text[at] === '{' ? list() : element())
      if (text[at] === delimiter) at++
    }
    at++
    return items
  }

  function element (): unknown {
    if (text[at] === '"') return parse(quoted())
    const start = at
    while (at < text.length && text[at] !== delimiter && text[at] !== '}') at++
    const plain = text.slice(start, at)
    return plain === 'NULL' ? null : parse(plain)
  }

  function quoted (): string {
    let value = ''
    for (at++; at < text.length && text[at] !== '"'; at++) {
      if (text[at] === '\\') at++
      value += text[at]
    }
    at++
    return value
  }
}
