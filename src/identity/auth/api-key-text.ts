import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/*
 * The text of an API key: `rtk_`, 256 random bits as 43 letters and digits, and their CRC-32 as 6. The prefix and the
 * checksum let secret scanners recognise a key without asking the server. The server refuses a mistyped key without a
 * query.
 *
 * Only the SHA-256 hash is stored. A slow hash protects passwords, which can be guessed; 256 random bits cannot be, at
 * any speed. A fast hash keeps authentication as cheap as that of a token.
 */

export const apiKeyPrefix = 'rtk_'
const randomBytesCount = 32
/** 62^43 is the first power of 62 above 2^256. */
const randomLength = 43
/** 62^6 is the first power of 62 above 2^32. */
const checksumLength = 6
const textLength = apiKeyPrefix.length + randomLength + checksumLength
const form = /^rtk_[0-9A-Za-z]{49}$/
/** The part of a key that is stored and shown: 8 of its 43 random letters. */
const shownLength = apiKeyPrefix.length + 8

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Returns a new key. */
export function generateApiKey (): string {
  const random = BigInt(`0x${randomBytes(randomBytesCount).toString('hex')}`)
  const text = `${apiKeyPrefix}${toBase62(random, randomLength)}`
  return `${text}${checksumOf(text)}`
}

/** Returns whether a text has the form and the checksum of a key. */
export function isApiKey (text: string): boolean {
  return text.length === textLength && form.test(text) &&
    text.endsWith(checksumOf(text.slice(0, -checksumLength)))
}

export const hashOfApiKey = (text: string): Buffer => hash('sha256', text, 'buffer')

export const shownPartOf = (text: string): string => text.slice(0, shownLength)

const checksumOf = (text: string): string => toBase62(BigInt(crc32(text)), checksumLength)

function toBase62 (number: bigint, length: number): string {
  let text = ''
  for (let rest = number; text.length < length; rest /= 62n) text = `${letters[Number(rest % 62n)] as string}${text}`
  return text
}
