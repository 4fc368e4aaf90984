import { lookup, Resolver } from 'node:dns/promises'

/**
 * Of the first try; the second takes twice as long. Together they are within the time in which a connection is to be
 * made.
 */
const tryMs = 1000
const tries = 2

export interface NameLookupOptions {
  allowPrivate: boolean
  allowedNetworks: readonly string[]
  /** Those of the system, unless they are named. */
  servers?: readonly string[]
}

/**
 * Finds every address of a name, for many at once and for each only once at a time. DNS is asked over sockets: the
 * system's own lookup takes one of libuv's few threads for as long as a server does not answer, and names whose servers
 * never do would keep all others waiting. Names that are not in DNS are the system's (the hosts file, search domains):
 * where private addresses are allowed it is asked alone, and for those of allowed networks last.
 */
export function createNameLookup (
  { allowPrivate, allowedNetworks, servers }: NameLookupOptions
): (name: string) => Promise<string[]> {
  const resolver = new Resolver({ timeout: tryMs, tries })
  if (servers !== undefined) resolver.setServers(servers)
  const underWay = new Map<string, Promise<string[]>>()

  async function ask (name: string): Promise<string[]> {
    if (allowPrivate) return await askSystem(name)
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    const addresses = answers.flatMap(answer => answer.status === 'fulfilled' ? answer.value : [])
    if (addresses.length > 0) return addresses
    const failures = answers.flatMap(answer =>
      answer.status === 'rejected' ? [answer.reason as NodeJS.ErrnoException] : []
    )
    const failure = failures.find(({ code }) => code !== 'ENOTFOUND' && code !== 'ENODATA')
    if (failure === undefined && allowedNetworks.length > 0) return await askSystem(name)
    throw failure ?? failures[0] ?? new Error(`no address: ${name}`)
  }

  return name => {
    const known = underWay.get(name)
    if (known !== undefined) return known
    const asked = ask(name).finally(() => underWay.delete(name))
    underWay.set(name, asked)
    return asked
  }
}

const askSystem = async (name: string) => (await lookup(name, { all: true })).map(({ address }) => address)
