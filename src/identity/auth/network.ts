import ipaddr from 'ipaddr.js'

/**
 * Returns the network that requests from an address are counted for: an IPv4 address by itself, and an IPv6 address's
 * first 64 bits, because whoever has one address of such a network has all of them.
 */
export const networkOf = (address: string): string => prefixOf(address, 32, 64)

/**
 * Returns the network that logins from an address are counted for and remembered by. It is wider (IPv4 /24, IPv6 /56),
 * because providers give a household or an office another address of the same network from time to time.
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
