import type { Readable, Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { UnsupportedMediaTypeError, ValidationError } from './errors.ts'

const decoders: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate, br: createBrotliDecompress
}

/** What `Accept-Encoding` says of request bodies (RFC 9110 §12.5.3). */
export const acceptedCodings = 'gzip, deflate, br'

/** US-ASCII is UTF-8, too. */
const charsets = ['utf-8', 'utf8', 'us-ascii', 'ascii']

/** Throws UnsupportedMediaTypeError `CONTENT_TYPE_UNSUPPORTED` for another charset than UTF-8. */
export function requireUtf8 (contentType: string): void {
  for (const [, quoted, plain = ''] of contentType.matchAll(/;\s*charset\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/gi)) {
    const charset = (quoted ?? plain).toLowerCase()
    if (charsets.includes(charset)) continue
    throw new UnsupportedMediaTypeError('CONTENT_TYPE_UNSUPPORTED', `Bodies are in UTF-8, not ${JSON.stringify(charset.slice(0, 50))}`)
  }
}

/** A body without its coding. `stop` ends the decoding and lets the rest of the request run out. */
export interface Decoding { body: Readable, stop (): void }

/**
 * Undoes the `Content-Encoding` of a body, piece by piece, so that a reader with a limit stops an endless one. Throws
 * UnsupportedMediaTypeError `CONTENT_ENCODING_UNSUPPORTED` for a coding that is not understood, and for several.
 */
export function decode (payload: Readable, contentEncoding: string | undefined): Decoding {
  const codings = (contentEncoding ?? '').toLowerCase().split(',').map(text => text.trim()).filter(text => text !== '' && text !== 'identity')
  const [coding] = codings
  if (coding === undefined) return { body: payload, stop () {} }
  const create = Object.hasOwn(decoders, coding) ? decoders[coding] : undefined
  if (create === undefined || codings.length > 1) {
    const given = JSON.stringify(codings.join(', ').slice(0, 50))
    throw new UnsupportedMediaTypeError('CONTENT_ENCODING_UNSUPPORTED', `The content encoding ${given} is not supported: send one of ${acceptedCodings}, or none`)
  }
  const decoder = create()
  const fail = (error: Error) => decoder.destroy(error)
  payload.once('error', fail).pipe(decoder)
  return {
    body: decoder,
    stop () {
      payload.off('error', fail).unpipe(decoder)
      payload.resume()
      decoder.destroy()
    }
  }
}

/** What a broken coding is to the client; any other error stays what it is. */
export function asCodingError (error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException
  return /^(?:Z_|ERR_?_?BROTLI|ERR__ERROR|ERR_PADDING|ERR_TRAILING_JUNK)/.test(code)
    ? new ValidationError('VALIDATION_FAILED', 'The body is not what its Content-Encoding names', { cause: error })
    : error
}
