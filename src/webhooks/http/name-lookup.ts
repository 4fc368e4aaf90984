import { lookup, Resolver } from 'node:dns/promises'

/** Timeout of the first try; the second takes twice as long. Together they stay within the connect timeout. */
const tryMs = 1000
const tries = 2

export interface NameLookupOptions {
  allowPrivate: boolean
  allowedNetworks: readonly string[]
  /** DNS servers to use instead of the system's. */
  servers?: readonly string[]
}

/**
 * Creates a function that returns every address of a name and shares concurrent lookups of the same name. It queries
 * DNS over sockets: the system's lookup occupies one of libuv's few threads until a server responds, so names with dead
 * servers would delay all others. Names outside DNS (hosts file, search domains) need the system's lookup. It is the
 * only one used where private addresses are allowed, and the last resort where networks are allowed.
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
