import ipaddr from 'ipaddr.js'

/**
 * Returns the network that requests from an address are counted for: an IPv4 address by itself, or the first 64 bits of
 * an IPv6 address, because a client with one address of such a network has all of them.
 */
export const networkOf = (address: string): string => prefixOf(address, 32, 64)

/**
 * Returns the network by which logins from an address are counted and remembered. It is wider (IPv4 /24, IPv6 /56),
 * because providers change the address of a household or an office within the network from time to time.
 */
export const loginNetworkOf = (address: string | undefined): string => prefixOf(address ?? '', 24, 56)

/** An address that cannot be parsed, as an untrusted proxy may send it, counts as a network of its own. */
function prefixOf (address: string, bitsOfIpv4: number, bitsOfIpv6: number): string {
  if (!ipaddr.isValid(address)) return address.slice(0, 64)
  const parsed = ipaddr.process(address)
  const bits = parsed.kind() === 'ipv4' ? bitsOfIpv4 : bitsOfIpv6
  const bytes = parsed.toByteArray().map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))))
  return ipaddr.fromByteArray(bytes).toString()
}
