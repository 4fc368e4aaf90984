import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'

const zip = promisify(gzip)

/**
 * A file that does not change while the server runs, with its entity tag. It is compressed once, at the first request.
 */
export class Asset {
  readonly type: string
  readonly body: Buffer
  readonly etag: string
  #compressed: Promise<Buffer> | undefined

  constructor (text: string | Buffer, type: string) {
    this.body = Buffer.from(text)
    this.type = type
    this.etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`
  }

  compressed (): Promise<Buffer> {
    this.#compressed ??= zip(this.body)
    return this.#compressed
  }
}

/** Sends an asset, compressed if the client accepts gzip, or 304 if the client already has it. */
export async function sendAsset ({ headers }: FastifyRequest, reply: FastifyReply, asset: Asset) {
  reply.headers({ etag: asset.etag, 'cache-control': 'no-cache', vary: 'accept-encoding' })
  if (matchesTag(headers['if-none-match'], asset.etag)) return reply.code(304).send()
  reply.type(asset.type)
  if (!/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:\s|,|$))/.test(headers['accept-encoding'] ?? '')) return reply.send(asset.body)
  return reply.header('content-encoding', 'gzip').send(await asset.compressed())
}

/** Returns whether `If-None-Match` has the entity tag. Compares weakly (RFC 9110 §13.1.2). */
export const matchesTag = (header: string | undefined, etag: string): boolean =>
  header !== undefined && header.split(',', 100).some(tag => ['*', etag].includes(tag.trim().replace(/^W\//, '')))
