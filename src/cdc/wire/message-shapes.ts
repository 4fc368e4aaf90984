import { AuthenticationMethodError, ProtocolError } from './protocol-error.ts'

/** Checks the body of one message: the bytes of `buffer` from `start` up to `end`. Throws ProtocolError. */
export type Shape = (buffer: Buffer, start: number, end: number) => void

/** PostgreSQL allows at most 1664 columns in a result. */
const fieldsMax = 1664
/** The bytes after a field's name in a RowDescription: two OIDs, three int16 and an int32. */
const fieldTailBytes = 18

const wrong = (what: string) => new ProtocolError(`${what} is malformed`)

/** Returns the offset after the text that begins at `at`. */
function skipText (buffer: Buffer, at: number, end: number, what: string): number {
  const zero = buffer.indexOf(0, at)
  if (at >= end || zero === -1 || zero >= end) throw wrong(what)
  return zero + 1
}

const texts = (count: number, what: string, offset = 0): Shape => (buffer, start, end) => {
  let at = start + offset
  for (let i = 0; i < count; i++) at = skipText(buffer, at, end, what)
  if (at !== end) throw wrong(what)
}

const exactly = (bytes: number, what: string): Shape => (_buffer, start, end) => {
  if (end - start !== bytes) throw wrong(what)
}

function readCount (buffer: Buffer, start: number, end: number, what: string): number {
  if (end - start < 2) throw wrong(what)
  const count = buffer.readInt16BE(start)
  if (count < 0 || count > fieldsMax) throw wrong(what)
  return count
}

/** Checks an ErrorResponse or NoticeResponse: fields of a type byte and a text, then a zero byte. */
export const checkFields: Shape = (buffer, start, end) => {
  for (let at = start; at < end;) {
    if (buffer[at] === 0) {
      if (at + 1 !== end) break
      return
    }
    at = skipText(buffer, at + 1, end, 'An error or notice')
  }
  throw wrong('An error or notice')
}

/** Checks the message and returns the number of fields. */
export function checkRowDescription (buffer: Buffer, start: number, end: number): number {
  const count = readCount(buffer, start, end, 'A row description')
  let at = start + 2
  for (let i = 0; i < count; i++) at = skipText(buffer, at, end, 'A row description') + fieldTailBytes
  if (at !== end) throw wrong('A row description')
  return count
}

/** Checks the message and returns the number of fields. */
export function checkDataRow (buffer: Buffer, start: number, end: number): number {
  const count = readCount(buffer, start, end, 'A row')
  let at = start + 2
  for (let i = 0; i < count; i++) {
    if (at + 4 > end) throw wrong('A row')
    const length = buffer.readInt32BE(at)
    at += 4
    if (length < -1 || length > end - at) throw wrong('A row')
    if (length > 0) at += length
  }
  if (at !== end) throw wrong('A row')
  return count
}

export const checkCopyBoth: Shape = (buffer, start, end) => {
  if (end - start < 3) throw wrong('The start of the stream')
  const count = readCount(buffer, start + 1, end, 'The start of the stream')
  if (start + 3 + 2 * count !== end) throw wrong('The start of the stream')
}

const walHeaderBytes = 25
const keepaliveBytes = 18

/** Checks a message of a replication stream: WAL data with its header, or a keepalive. */
export const checkStreamed: Shape = (buffer, start, end) => {
  const isWal = buffer[start] === 0x77 && end - start > walHeaderBytes
  const isKeepalive = buffer[start] === 0x6b && end - start === keepaliveBytes
  if (!isWal && !isKeepalive) throw wrong('A message of the stream')
}

export const checkReady: Shape = (buffer, start, end) => {
  if (end - start !== 1 || !'ITE'.includes(String.fromCharCode(buffer[start] as number))) {
    throw wrong('The end of an answer')
  }
}

export type AuthenticationStep = 'ok' | 'password' | 'sasl' | 'saslContinue' | 'saslFinal'

const unsupported: Record<number, string> = { 2: 'Kerberos', 6: 'SCM credentials', 7: 'GSSAPI', 8: 'GSSAPI', 9: 'SSPI' }

/** Throws AuthenticationMethodError for a method that is not supported. */
export function checkAuthentication (buffer: Buffer, start: number, end: number): AuthenticationStep {
  if (end - start < 4) throw wrong('The authentication request')
  const code = buffer.readInt32BE(start)
  const isLong = (bytes: number) => { if (end - start !== bytes) throw wrong('The authentication request') }
  switch (code) {
    case 0: isLong(4); return 'ok'
    case 3: isLong(4); return 'password'
    case 5: isLong(8); return 'password'
    case 10: checkMechanisms(buffer, start + 4, end); return 'sasl'
    case 11: return 'saslContinue'
    case 12: return 'saslFinal'
    default: throw new AuthenticationMethodError(`the server requires ${unsupported[code] ?? 'an unknown method'}`)
  }
}

/** Checks a list of names that ends with an empty one. */
function checkMechanisms (buffer: Buffer, start: number, end: number): void {
  const names: string[] = []
  for (let at = start; ;) {
    const next = skipText(buffer, at, end, 'The authentication request')
    const name = buffer.toString('latin1', at, next - 1)
    at = next
    if (name !== '') {
      names.push(name)
      continue
    }
    if (at !== end) throw wrong('The authentication request')
    break
  }
  if (!names.includes('SCRAM-SHA-256')) {
    throw new AuthenticationMethodError('the server requires an unknown SASL mechanism')
  }
}

export const checkEmpty = exactly(0, 'A message without content')
export const checkKey = exactly(8, 'The key of the session')
export const checkParameter = texts(2, 'A parameter')
export const checkCommand = texts(1, 'The end of a command')
export const checkNotification = texts(2, 'A notification', 4)
