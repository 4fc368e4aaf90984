import type { Readable, Transform } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'
import { UnsupportedMediaTypeError, ValidationError } from '../../errors.ts'

/** Neither Brotli nor Zstandard: five bytes of either make the decoder allocate 16 MiB. */
const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate
}

/** Maximum memory of an inflater: its window of 32 KiB, its state, and a chunk of output. */
const decoderBytes = 64 * 1024

/** The value of `Accept-Encoding` for request bodies (RFC 9110 §12.5.3). */
export const acceptedCodings = 'gzip, deflate'

/** US-ASCII is a subset of UTF-8. */
const charsets = ['utf-8', 'utf8', 'us-ascii', 'ascii']

/** Throws UnsupportedMediaTypeError `CONTENT_TYPE_UNSUPPORTED` for a charset other than UTF-8. */
export function requireUtf8 (contentType: string): void {
  for (const [, quoted, plain = ''] of contentType.matchAll(/;\s*charset\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/gi)) {
    const charset = (quoted ?? plain).toLowerCase()
    if (charsets.includes(charset)) continue
    throw new UnsupportedMediaTypeError(
      'CONTENT_TYPE_UNSUPPORTED',
      `The body must be in UTF-8, not ${JSON.stringify(charset.slice(0, 50))}`
    )
  }
}

/** A decoded body. `stop` ends the decoding and discards the rest of the request. */
export interface Decoding { body: Readable, stop (): void }

/** Counts the memory of a decoder. If `take` throws, no decoder is created and the error is passed on. */
export interface Counting { take (bytes: number): void, giveBack (bytes: number): void }

/**
 * Decodes the `Content-Encoding` of a body as a stream, so that a reader with a limit stops an endless one. Throws
 * UnsupportedMediaTypeError `CONTENT_ENCODING_UNSUPPORTED` for an unsupported coding and for several codings.
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
      `The content encoding ${given} is not supported. Send one of ${acceptedCodings}, or none`
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

/** Translates the error of an invalid coding for the client, and returns any other error unchanged. */
export function asCodingError (error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException
  return /^(?:Z_|ERR_TRAILING_JUNK)/.test(code)
    ? new ValidationError('VALIDATION_FAILED', 'The body does not match its Content-Encoding', { cause: error })
    : error
}
