import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

export interface AddressGuardOptions {
  allowPrivate: boolean
  /** Networks that may be reached although they are private. */
  allowedNetworks: readonly string[]
  /** Appended to refusals that `allowPrivate` would lift: what a developer can do about them. */
  hint?: string
  /** Every address of a name. */
  resolve (hostname: string): Promise<string[]>
  /**
   * Told where a name leads that is refused: whoever owns the webhook is not, for the names within are the operator's.
   */
  onRefused? (refusal: { hostname: string, address: string, reason: string }): void
}

/** Why an address or a name is not connected to. */
export class ForbiddenAddressError extends Error {
  readonly reason: string
  constructor (host: string, reason: string) {
    super(`${host.slice(0, 253)} may not be reached: ${reason}`)
    this.name = 'ForbiddenAddressError'
    this.reason = reason
  }
}

export interface AddressGuard {
  /** Throws ForbiddenAddressError unless the URL's scheme (`https:`) may be used: plain http needs `allowPrivate`. */
  checkScheme (protocol: string, hostname: string): void
  /** Throws ForbiddenAddressError for an address that may not be reached, and for anything that is no address. */
  check (address: string): void
  /**
   * For what stands in a URL: throws for a literal, however it is spelled, that may not be reached, and for names that
   * are never resolved.
   */
  checkHost (hostname: string): void
  /** For an address that a name has led to: as `check`, but what it throws names no address. */
  checkAnswer (hostname: string, address: string): void
  /**
   * Every address of the host, each of them checked: one that may not be reached refuses all. A literal is its own
   * address.
   */
  resolve (hostname: string): Promise<string[]>
}

const metadata = 'it is a metadata service'
/** Where clouds give their credentials to whoever asks: never reached, whatever is allowed. */
const metadataAddresses = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '169.254.42.42',
  '169.254.0.23',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
  'fd00:42::42'
].map(text => ipaddr.process(text).toString()))
const metadataNames = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.azure.internal',
  'metadata.platformequinix.com',
  'metadata.packet.net',
  'metadata.tencentyun.com',
  'rancher-metadata'
])

/**
 * Keeps webhooks from being a way in. Only public unicast addresses may be reached, unless private ones are allowed;
 * the addresses at which clouds hand out credentials never. Addresses that carry another one within (mapped, NAT64,
 * 6to4, Teredo) are looked through.
 */
export function createAddressGuard (
  { allowPrivate, allowedNetworks, hint, resolve, onRefused }: AddressGuardOptions
): AddressGuard {
  const networks = allowedNetworks.map(network => ipaddr.parseCIDR(network))

  const forbidden = (host: string, reason: string) =>
    new ForbiddenAddressError(host, hint === undefined || reason === metadata ? reason : `${reason}. ${hint}`)

  function refusalOf (address: Address): string | undefined {
    const within = embedded(address)
    if ([address, ...within.all].some(one => metadataAddresses.has(one.toString()))) return metadata
    const effective = within.same ?? address
    if (allowPrivate || networks.some(network => isWithin(effective, network))) return undefined
    const range = effective.range()
    if (range !== 'unicast') return `it is not a public address (${range})`
    // Of IPv6 only 2000::/3 is given out for global unicast (RFC 4291 §2.4); the rest is kept for purposes to come.
    if (effective instanceof ipaddr.IPv6 && (effective.parts[0] ?? 0) >> 13 !== 1) { return 'it is not a public address (unassigned)' }
    return undefined
  }

  function check (text: string): void {
    const address = parseAddress(text)
    if (address === undefined) throw new ForbiddenAddressError(text, 'it is no address')
    const reason = refusalOf(address)
    if (reason !== undefined) throw forbidden(text, reason)
  }

  function checkHost (hostname: string): void {
    const name = nameOf(hostname)
    if (parseAddress(name) !== undefined) return check(name)
    if (name === '') throw new ForbiddenAddressError(hostname, 'it is empty')
    if (metadataNames.has(name)) throw forbidden(name, metadata)
    const isLocal = name === 'localhost' || name.endsWith('.localhost')
    if (!allowPrivate && networks.length === 0 && isLocal) throw forbidden(name, 'it is this machine')
  }

  function checkAnswer (hostname: string, address: string): void {
    try {
      check(address)
    } catch (error) {
      if (parseAddress(hostname) !== undefined) throw error
      onRefused?.({ hostname, address, reason: (error as ForbiddenAddressError).reason })
      throw forbidden(hostname, 'it leads to an address that is not public')
    }
  }

  function checkScheme (protocol: string, hostname: string): void {
    if (protocol === 'https:' || (protocol === 'http:' && allowPrivate)) return
    throw protocol === 'http:'
      ? forbidden(hostname, 'http:// is not https://')
      : new ForbiddenAddressError(hostname, `${protocol} is not https://`)
  }

  return {
    checkScheme,
    check,
    checkHost,
    checkAnswer,
    async resolve (hostname) {
      checkHost(hostname)
      const name = nameOf(hostname)
      const literal = parseAddress(name)
      if (literal !== undefined) return [literal.toString()]
      const addresses = await resolve(name)
      if (addresses.length === 0) throw new ForbiddenAddressError(name, 'it has no address')
      for (const address of addresses) checkAnswer(name, address)
      return addresses
    }
  }
}

/** As the system would connect to it: without brackets, the dot of the root and the differences of case. */
const nameOf = (hostname: string) => hostname.trim().replace(/^\[(.*)\]$/, '$1').toLowerCase().replace(/\.$/, '')

/** Every spelling that inet_aton and inet_pton take: decimal, octal and hexadecimal, short and long, with a zone. */
function parseAddress (text: string): Address | undefined {
  const name = nameOf(text)
  try {
    // In hexadecimal throughout: the library takes `::127.0.0.1` for the mapped form, which it is not.
    if (name.includes(':')) { return ipaddr.IPv6.parse(new URL(`http://[${name.split('%', 1)[0] ?? ''}]/`).hostname.slice(1, -1)) }
    // What ends in a number is an IPv4 address or nothing (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    return endsInNumber.test(name) ? ipaddr.IPv4.parse(new URL(`http://${name}/`).hostname) : undefined
  } catch {
    return undefined
  }
}

const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/

const isWithin = (address: Address, [network, bits]: [Address, number]) =>
  address.kind() === network.kind() && address.match(network as never, bits)

/** The IPv4 addresses within an IPv6 one: all that it could lead to, and the one that it is another form of. */
function embedded (address: Address): { all: ipaddr.IPv4[], same?: ipaddr.IPv4 } {
  if (!(address instanceof ipaddr.IPv6)) return { all: [] }
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = address.parts
  const last = v4(g, h)
  if (a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff) return { all: [last], same: last }
  // NAT64's well-known prefix (RFC 6052): how the whole IPv4 internet looks where there is only IPv6.
  if (a === 0x64 && b === 0xff9b && c === 0 && d === 0 && e === 0 && f === 0) return { all: [last], same: last }
  // RFC 8215: where in it the address stands is each network's own business.
  if (a === 0x64 && b === 0xff9b && c === 1) { return { all: [last, v4(d, e >> 8 | (e & 0xff) << 8), v4(d, (e & 0xff) << 8 | f >> 8), v4(f, g)] } }
  if (a === 0x2002) return { all: [v4(b, c), last] }
  if (a === 0x2001 && b === 0) return { all: [v4(c, d), v4(g ^ 0xffff, h ^ 0xffff)] }
  // IPv4-compatible (RFC 4291 §2.5.5.1), translated (RFC 2765) and ISATAP (RFC 5214).
  const isLow = a === 0 && b === 0 && c === 0 && d === 0
  if ((isLow && f === 0) || (isLow && e === 0xffff) || f === 0x5efe) return { all: [last] }
  return { all: [] }
}

const v4 = (high: number, low: number) => new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
