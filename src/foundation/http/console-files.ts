import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installFolder } from '../version.ts'

export interface ConsoleFiles {
  /** The absolute path of the built console. */
  folder: string
  /** The names of the files beside the page, such as the favicon. */
  rootFiles: string[]
  /** Returns the page with a new nonce in place of each `__CSP_NONCE__`. */
  page (): { html: string, nonce: string }
}

/** Returns the built console, or undefined if the folder has none. Without a folder, looks into `ui/dist`. */
export function findConsole (folder = join(installFolder, 'ui/dist')): ConsoleFiles | undefined {
  const html = readPage(folder)
  if (html === undefined) return undefined
  const rootFiles = readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name !== 'index.html' && !/^\.|\.(?:gz|br)$/.test(entry.name))
    .map(({ name }) => name)
  return {
    folder,
    rootFiles,
    page () {
      const nonce = randomBytes(16).toString('base64url')
      return { html: html.replaceAll('__CSP_NONCE__', nonce), nonce }
    }
  }
}

function readPage (folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'index.html'), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** First segments of paths that belong to the server: an unknown path below them is an error, not a page. */
const serverSegments: ReadonlySet<string> = new Set([
  'api', 'auth', 'docs', 'health', 'ws', 'socket.io', '.well-known', 'assets', 'openapi.json', 'asyncapi.json'
])

/** Returns whether a browser navigates to a page of the console. */
export function isPageRequest ({ method, url, headers }: {
  method: string, url: string, headers: { accept?: string | undefined }
}): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  const [, segment = ''] = url.split(/[/?]/, 2)
  if (segment === '' || serverSegments.has(decoded(segment).toLowerCase())) return false
  return /\btext\/html\b/.test(headers.accept ?? '')
}

function decoded (segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
