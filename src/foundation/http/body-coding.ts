import type { Readable, Transform } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'
import { UnsupportedMediaTypeError, ValidationError } from '../../errors.ts'

/** Not Brotli, nor Zstandard: five bytes of either make the decoder set aside 16 MiB. */
const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate
}

/** What an inflater holds at most while it lives: its window of 32 KiB, its state, and a piece of output. */
const decoderBytes = 64 * 1024

/** What `Accept-Encoding` says of request bodies (RFC 9110 §12.5.3). */
export const acceptedCodings = 'gzip, deflate'

/** US-ASCII is UTF-8, too. */
const charsets = ['utf-8', 'utf8', 'us-ascii', 'ascii']

/** Throws UnsupportedMediaTypeError `CONTENT_TYPE_UNSUPPORTED` for another charset than UTF-8. */
export function requireUtf8 (contentType: string): void {
  for (const [, quoted, plain = ''] of contentType.matchAll(/;\s*charset\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/gi)) {
    const charset = (quoted ?? plain).toLowerCase()
    if (charsets.includes(charset)) continue
    throw new UnsupportedMediaTypeError(
      'CONTENT_TYPE_UNSUPPORTED',
      `Bodies are in UTF-8, not ${JSON.stringify(charset.slice(0, 50))}`
    )
  }
}

/** A body without its coding. `stop` ends the decoding and lets the rest of the request run out. */
export interface Decoding { body: Readable, stop (): void }

/** Counts what a decoder holds. What `take` throws is thrown on, before there is a decoder. */
export interface Counting { take (bytes: number): void, giveBack (bytes: number): void }

/**
 * Undoes the `Content-Encoding` of a body, piece by piece, so that a reader with a limit stops an endless one. Throws
 * UnsupportedMediaTypeError `CONTENT_ENCODING_UNSUPPORTED` for a coding that is not understood, and for several.
 */
export function decode (payload: Readable, contentEncoding: string | undefined, counting: Counting): Decoding {
  const codings = (contentEncoding ?? '').toLowerCase().split(',').map(text => text.trim()).filter(text =>
    text !== '' && text !== 'identity'
  )
  const [coding] = codings
  if (coding === undefined) return { body: payload, stop () {} }
  const create = Object.hasOwn(decoders, coding) ? decoders[coding] : undefined
  if (create === undefined || codings.length > 1) {
    const given = JSON.stringify(codings.join(', ').slice(0, 50))
    throw new UnsupportedMediaTypeError(
      'CONTENT_ENCODING_UNSUPPORTED',
      `The content encoding ${given} is not supported: send one of ${acceptedCodings}, or none`
    )
  }
  counting.take(decoderBytes)
  const decoder = create()
  const fail = (error: Error) => decoder.destroy(error)
  payload.once('error', fail).pipe(decoder)
  return {
    body: decoder,
    stop () {
      payload.off('error', fail).unpipe(decoder)
      payload.resume()
      decoder.destroy()
      counting.giveBack(decoderBytes)
    }
  }
}

/** What a broken coding is to the client; any other error stays what it is. */
export function asCodingError (error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException
  return /^(?:Z_|ERR_TRAILING_JUNK)/.test(code)
    ? new ValidationError('VALIDATION_FAILED', 'The body is not what its Content-Encoding names', { cause: error })
    : error
}
