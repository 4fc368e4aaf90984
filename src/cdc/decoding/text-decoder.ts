import { isUtf8 } from 'node:buffer'
import { TextDecoder } from 'node:util'

/** A value whose bytes are not valid text in the encoding of its database. */
export class Undecodable {
  readonly encoding: string
  readonly bytes: Buffer

  constructor (encoding: string, bytes: Buffer) {
    this.encoding = encoding
    this.bytes = Buffer.from(bytes)
  }

  equals (other: unknown): boolean {
    return other instanceof Undecodable && this.bytes.equals(other.bytes)
  }
}

/** Thrown when a mapping needs such a value. */
export class UndecodableError extends Error {
  constructor (column: string, { encoding }: Undecodable) {
    super(
      `The value of ${column} is not valid text: ${
        encoding === 'SQL_ASCII'
          ? 'the database (SQL_ASCII) checks no encoding, and the bytes are not UTF-8'
          : `it is not valid ${encoding}`
      }`
    )
  }
}

export type DecodeText = (bytes: Buffer) => string | Undecodable

/**
 * Returns a decoder for the texts of a database with this encoding; undefined for an encoding that only PostgreSQL can
 * convert. SQL_ASCII checks nothing, so its texts must be UTF-8.
 */
export function textDecoder (encoding: string): DecodeText | undefined {
  if (encoding === 'UTF8' || encoding === 'SQL_ASCII') return utf8(encoding)
  if (encoding === 'LATIN1') return bytes => bytes.toString('latin1')
  const letters = lettersOf(encoding)
  if (letters !== undefined) return byLetter(encoding, letters)
  const decoder = standardDecoder(multiByte[encoding])
  if (decoder === undefined) return undefined
  return bytes => decodeWith(decoder, bytes) ?? new Undecodable(encoding, bytes)
}

function utf8 (encoding: string): DecodeText {
  return bytes => {
    const text = bytes.toString('utf8')
    return text.includes('\uFFFD') && !isUtf8(bytes) ? new Undecodable(encoding, bytes) : text
  }
}

/** Decodes one letter for each byte; undefined marks a byte that the encoding does not use. */
function byLetter (encoding: string, letters: readonly (string | undefined)[]): DecodeText {
  return bytes => {
    let text = ''
    for (const byte of bytes) {
      const letter = letters[byte]
      if (letter === undefined) return new Undecodable(encoding, bytes)
      text += letter
    }
    return text
  }
}

function lettersOf (encoding: string): (string | undefined)[] | undefined {
  const upper = upperHalf(encoding)
  return upper && [...Array.from({ length: 128 }, (_, byte) => String.fromCharCode(byte)), ...upper]
}

/**
 * Returns the letters from 0x80 on. Where WHATWG's or Node's tables differ from PostgreSQL's, these tables follow
 * PostgreSQL.
 */
function upperHalf (encoding: string): (string | undefined)[] | undefined {
  const latin = Array.from({ length: 128 }, (_, i) => String.fromCharCode(i + 128))
  if (encoding === 'WIN1252') return latin.map((letter, i) => i < 32 ? win1252[i]?.trim() || undefined : letter)
  if (encoding === 'LATIN5') return latin.map(letter => turkish[letter] ?? letter)
  const decoder = standardDecoder(singleByte[encoding])
  if (decoder === undefined) return undefined
  const invented = encoding.startsWith('WIN') && encoding !== 'WIN866' ? /[\x80-\x9f\ue000-\uf8ff]/ : undefined
  return latin.map((_, i) => {
    if (encoding === 'WIN1253' && i + 128 === 0xaa) return undefined
    const letter = decodeWith(decoder, Buffer.from([i + 128]))
    return letter === undefined || letter === '' || invented?.test(letter) === true ? undefined : letter
  })
}

/** From 0x80 on; a space marks an unused byte. */
const win1252 = [...'€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ']

/** Where LATIN5 differs from LATIN1; WHATWG uses Windows-1254 instead. */
const turkish: Record<string, string> = { Ð: 'Ğ', Ý: 'İ', Þ: 'Ş', ð: 'ğ', ý: 'ı', þ: 'ş' }

/** PostgreSQL's names of encodings, with those of the WHATWG standard where both mean the same. */
const singleByte: Record<string, string> = {
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258'
}

const multiByte: Record<string, string> = { EUC_JP: 'euc-jp', EUC_KR: 'euc-kr', EUC_CN: 'gbk' }

/** Returns undefined for an encoding that this build of Node lacks. */
function standardDecoder (label: string | undefined): TextDecoder | undefined {
  try {
    return label === undefined ? undefined : new TextDecoder(label, { fatal: true, ignoreBOM: true })
  } catch {
    return undefined
  }
}

function decodeWith (decoder: TextDecoder, bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
