import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

export interface AddressGuardOptions {
  allowPrivate: boolean
  /** Private networks that may be reached nevertheless. */
  allowedNetworks: readonly string[]
  /** Appended to refusals that `allowPrivate` would lift: tells a developer how to allow the address. */
  hint?: string
  /** Returns every address of a name. */
  resolve (hostname: string): Promise<string[]>
  /**
   * Receives the address behind a refused name. The webhook's owner does not see it, because internal names belong to
   * the operator.
   */
  onRefused? (refusal: { hostname: string, address: string, reason: string }): void
}

/** Thrown when an address or a name must not be connected to. `reason` is part of the message. */
export class ForbiddenAddressError extends Error {
  readonly reason: string
  constructor (host: string, reason: string) {
    super(`connections to ${host.slice(0, 253)} are not allowed: ${reason}`)
    this.name = 'ForbiddenAddressError'
    this.reason = reason
  }
}

export interface AddressGuard {
  /** Throws ForbiddenAddressError unless the protocol (`https:`) may be used. `http:` requires `allowPrivate`. */
  checkScheme (protocol: string, hostname: string): void
  /** Throws ForbiddenAddressError for an address that may not be reached, and for a text that is not an address. */
  check (address: string): void
  /**
   * Checks the host of a URL. Throws ForbiddenAddressError for a literal that may not be reached, in any spelling, and
   * for names that are never resolved.
   */
  checkHost (hostname: string): void
  /** Checks an address that a name resolved to. Works as `check`, but the error does not contain the address. */
  checkAnswer (hostname: string, address: string): void
  /**
   * Returns every address of the host after checking each. Throws if any of them may not be reached. A literal resolves
   * to itself.
   */
  resolve (hostname: string): Promise<string[]>
}

const metadata = 'the host is a cloud metadata service'
/** Addresses at which clouds hand out credentials to any caller. Never reached, whatever the settings allow. */
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
 * Creates the guard that keeps webhooks from reaching internal systems (SSRF). It allows only public unicast addresses
 * unless private ones are allowed, and never the metadata addresses of clouds. For addresses that embed another one
 * (mapped, NAT64, 6to4, Teredo) it checks the embedded address.
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
    if (range !== 'unicast') return `the address is not public (${range})`
    // IANA assigns global unicast from 2000::/3 only (RFC 4291 §2.4); the rest is reserved.
    if (effective instanceof ipaddr.IPv6 && (effective.parts[0] ?? 0) >> 13 !== 1) {
      return 'the address is not public (unassigned)'
    }
    return undefined
  }

  function check (text: string): void {
    const address = parseAddress(text)
    if (address === undefined) throw new ForbiddenAddressError(text, 'it is not an IP address')
    const reason = refusalOf(address)
    if (reason !== undefined) throw forbidden(text, reason)
  }

  function checkHost (hostname: string): void {
    const name = nameOf(hostname)
    if (parseAddress(name) !== undefined) return check(name)
    if (name === '') throw new ForbiddenAddressError(hostname, 'the host is empty')
    if (metadataNames.has(name)) throw forbidden(name, metadata)
    const isLocal = name === 'localhost' || name.endsWith('.localhost')
    if (!allowPrivate && networks.length === 0 && isLocal) throw forbidden(name, 'the host is this machine')
  }

  function checkAnswer (hostname: string, address: string): void {
    try {
      check(address)
    } catch (error) {
      if (parseAddress(hostname) !== undefined) throw error
      onRefused?.({ hostname, address, reason: (error as ForbiddenAddressError).reason })
      throw forbidden(hostname, 'the host resolves to an address that is not public')
    }
  }

  function checkScheme (protocol: string, hostname: string): void {
    if (protocol === 'https:' || (protocol === 'http:' && allowPrivate)) return
    throw protocol === 'http:'
      ? forbidden(hostname, 'the URL must use https:// instead of http://')
      : new ForbiddenAddressError(hostname, `the URL must use https:// instead of ${protocol}//`)
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
      if (addresses.length === 0) throw new ForbiddenAddressError(name, 'the host has no address')
      for (const address of addresses) checkAnswer(name, address)
      return addresses
    }
  }
}

/** Normalizes a host as the system does: without brackets and the trailing dot, in lower case. */
const nameOf = (hostname: string) => hostname.trim().replace(/^\[(.*)\]$/, '$1').toLowerCase().replace(/\.$/, '')

/** Parses every spelling that inet_aton and inet_pton accept: decimal, octal, hexadecimal, short, long, with a zone. */
function parseAddress (text: string): Address | undefined {
  const name = nameOf(text)
  try {
    // Converts to hexadecimal first, because the library parses `::127.0.0.1` as the mapped form.
    if (name.includes(':')) {
      return ipaddr.IPv6.parse(new URL(`http://[${name.split('%', 1)[0] ?? ''}]/`).hostname.slice(1, -1))
    }
    // A host that ends in a number is an IPv4 address or invalid
    // (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    return endsInNumber.test(name) ? ipaddr.IPv4.parse(new URL(`http://${name}/`).hostname) : undefined
  } catch {
    return undefined
  }
}

const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/

const isWithin = (address: Address, [network, bits]: [Address, number]) =>
  address.kind() === network.kind() && address.match(network, bits)

/** Returns the IPv4 addresses that an IPv6 address could lead to, and the one that it is an equivalent form of. */
function embedded (address: Address): { all: ipaddr.IPv4[], same?: ipaddr.IPv4 } {
  if (!(address instanceof ipaddr.IPv6)) return { all: [] }
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = address.parts
  const last = v4(g, h)
  if (a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff) return { all: [last], same: last }
  // NAT64's well-known prefix (RFC 6052): represents the whole IPv4 internet on IPv6-only networks.
  if (a === 0x64 && b === 0xff9b && c === 0 && d === 0 && e === 0 && f === 0) return { all: [last], same: last }
  // RFC 8215: each network chooses the position of the IPv4 address itself.
  if (a === 0x64 && b === 0xff9b && c === 1) {
    return { all: [last, v4(d, e >> 8 | (e & 0xff) << 8), v4(d, (e & 0xff) << 8 | f >> 8), v4(f, g)] }
  }
  if (a === 0x2002) return { all: [v4(b, c), last] }
  if (a === 0x2001 && b === 0) return { all: [v4(c, d), v4(g ^ 0xffff, h ^ 0xffff)] }
  // IPv4-compatible (RFC 4291 §2.5.5.1), translated (RFC 2765) and ISATAP (RFC 5214).
  const isLow = a === 0 && b === 0 && c === 0 && d === 0
  if ((isLow && f === 0) || (isLow && e === 0xffff) || f === 0x5efe) return { all: [last] }
  return { all: [] }
}

const v4 = (high: number, low: number) => new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
