import { open, stat, truncate, type FileHandle } from 'node:fs/promises'

const bytesMax = 10 * 1024 * 1024
const tailBytes = 4096

/** The log file of the server, as of one start. */
export class LogFile {
  readonly path: string
  #from = 0

  constructor (path: string) {
    this.path = path
  }

  /** Opens the log for a new server to append to. Empties it first if it has grown past 10 MB. The caller closes it. */
  async open (): Promise<FileHandle> {
    const file = await open(this.path, 'a', 0o600)
    if (await this.size() > bytesMax) await truncate(this.path)
    this.#from = await this.size()
    return file
  }

  async size (): Promise<number> {
    return (await stat(this.path)).size
  }

  /** Returns the last lines since `open`. */
  async tail (): Promise<string> {
    const file = await open(this.path, 'r')
    try {
      const size = (await file.stat()).size
      const from = Math.max(this.#from, size - tailBytes)
      const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, from)
      return buffer.toString('utf8', 0, bytesRead).trim()
    } finally {
      await file.close()
    }
  }
}
