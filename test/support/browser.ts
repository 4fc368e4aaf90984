import type { FastifyInstance } from 'fastify'
import { publicUrl } from './identity-provider.ts'
import { requests } from './people.ts'

interface Cookie { host: string, path: string, value: string }

/** The answer to one request of a browser. */
export interface Page { url: string, status: number, location: string | undefined, setCookies: string[], text: string }

/**
 * A browser with cookies, which follows redirects. Requests to the platform go to the app that is `at` work, each from
 * another address, so that limits by address do not apply.
 */
export function browser (app: FastifyInstance) {
  const cookies = new Map<string, Cookie>()
  let at = app

  const cookiesFor = ({ host, pathname }: URL): string =>
    [...cookies].filter(([, cookie]) => cookie.host === host && pathname.startsWith(cookie.path))
      .map(([name, { value }]) => `${name.split(' ')[1]}=${value}`).join('; ')

  function keep ({ host }: URL, headers: readonly string[]): void {
    for (const header of headers) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(header) ?? []
      const isOver = /max-age=0|expires=thu, 01 jan 1970/i.test(header)
      const key = `${host} ${name}`
      if (isOver) cookies.delete(key)
      else cookies.set(key, { host, path: /path=([^;]+)/i.exec(header)?.[1] ?? '/', value })
    }
  }

  async function get (url: string): Promise<Page> {
    const to = new URL(url)
    const cookie = cookiesFor(to)
    if (to.origin === publicUrl) {
      const { statusCode: status, headers, body: text } = await at.inject({
        method: 'GET', url: to.pathname + to.search, remoteAddress: address(),
        headers: { host: to.host, ...(cookie !== '' && { cookie }) }
      })
      const setCookies = [headers['set-cookie'] ?? []].flat()
      keep(to, setCookies)
      return { url, status, location: resolved(headers.location, url), setCookies, text }
    }
    const response = await fetch(url, { redirect: 'manual', headers: cookie === '' ? {} : { cookie } })
    const setCookies = response.headers.getSetCookie()
    keep(to, setCookies)
    const location = resolved(response.headers.get('location') ?? undefined, url)
    return { url, status: response.status, location, setCookies, text: await response.text() }
  }

  return {
    get,
    cookies,
    /** Lets another node answer. */
    moveTo (app: FastifyInstance): void { at = app },

    /** Follows redirects until one leads to a URL that begins so, and returns this URL. */
    async follow (url: string, until: string): Promise<string> {
      for (let next = url, i = 0; i < 12; i++) {
        const { location, status, text } = await get(next)
        if (location === undefined) throw new Error(`${next} has no redirect: ${status} ${text.slice(0, 500)}`)
        if (location.startsWith(until)) return location
        next = location
      }
      throw new Error('too many redirects')
    },

    /** Sends JSON to the platform. */
    async post (path: string, body: unknown) {
      const to = new URL(path, publicUrl)
      const cookie = cookiesFor(to)
      const answer = await requests(at).post(path, body, {
        headers: { host: to.host, 'content-type': 'application/json', ...(cookie !== '' && { cookie }) }
      })
      keep(to, [answer.headers['set-cookie'] ?? []].flat())
      return answer
    }
  }
}
export type Browser = ReturnType<typeof browser>

const address = () => ['10', ...Array.from({ length: 3 }, () => 1 + Math.floor(Math.random() * 254))].join('.')

const resolved = (location: string | undefined, base: string): string | undefined =>
  location === undefined ? undefined : new URL(location, base).href
