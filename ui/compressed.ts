import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Plugin } from 'vite'

/** Writes compressed copies beside the assets. The platform sends them to browsers that accept them. */
export const compressed = (): Plugin => ({
  name: 'compressed',
  apply: 'build',
  async writeBundle ({ dir = '' }) {
    const assets = join(dir, 'assets')
    const names = (await readdir(assets)).filter(name => /\.(js|css|svg)$/.test(name))
    await Promise.all(names.map(name => compress(join(assets, name))))
  }
})

async function compress (file: string): Promise<void> {
  const content = await readFile(file)
  // Headers cost more than is won in a small file.
  if (content.length < 1024) return
  const [zipped, brotli] = await Promise.all([
    promisify(gzip)(content, { level: 9 }),
    promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } })
  ])
  await Promise.all([writeFile(`${file}.gz`, zipped), writeFile(`${file}.br`, brotli)])
}
