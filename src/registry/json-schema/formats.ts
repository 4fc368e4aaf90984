import { fullFormats } from 'ajv-formats/dist/formats.js'
import { isEmail } from './mail-format.ts'
import { isUrl } from './url-format.ts'

/** A longer string has none of the formats. */
export const formattedLengthMax = 2_048

type Check = (text: string) => boolean

const name = '(?:[a-z0-9_]|%[0-9a-f]{2})+'
const variable = `${name}(?:\\.${name})*(?::[1-9][0-9]{0,3}|\\*)?`
const literal = '[^\\x00-\\x20"%<>\\\\^`{|}\\x7f-\\x9f]|%[0-9a-f]{2}'
/**
 * RFC 6570 §2, with the apostrophe of its erratum 6937. Unlike the expression of ajv-formats, it accepts dots in
 * variable names, and rejects DEL and the control characters after it.
 */
const uriTemplate = new RegExp(`^(?:${literal}|\\{[+#./;?&=,!@|]?${variable}(?:,${variable})*\\})*$`, 'i')

/** Removes the fraction. ajv-formats reads the seconds as a number, which rounds a fraction of fifteen nines up. */
const withoutFraction = (name: 'time' | 'date-time' | 'iso-time' | 'iso-date-time'): Check => {
  const check = toCheck(fullFormats[name])
  if (check === undefined) throw new Error(`ajv-formats has no check of "${name}"`)
  return text => check(text.split('.').length === 2 ? text.replace(/(\d\d:\d\d:\d\d)\.\d+/, '$1') : text)
}

const ownFormats = {
  url: isUrl,
  email: isEmail,
  'uri-template': uriTemplate,
  time: withoutFraction('time'),
  'date-time': withoutFraction('date-time'),
  'iso-time': withoutFraction('iso-time'),
  'iso-date-time': withoutFraction('iso-date-time')
}

/** The checks without a limit of length. Each takes linear time; formats.test.ts runs them with long texts. */
export const unlimitedFormats: ReadonlyMap<string, Check> = new Map(
  Object.entries({ ...fullFormats, ...ownFormats }).flatMap(([name, definition]): [string, Check][] => {
    const check = toCheck(definition)
    return check === undefined ? [] : [[name, check]]
  })
)

/** The check of each asserted `format` of a string. A format that is not listed is an annotation. */
export const stringFormats: ReadonlyMap<string, Check> = new Map([...unlimitedFormats]
  .map(([name, check]) => [name, text => text.length <= formattedLengthMax && check(text)]))

function toCheck (definition: unknown): Check | undefined {
  if (definition instanceof RegExp) return text => { definition.lastIndex = 0; return definition.test(text) }
  if (typeof definition === 'function') return definition as Check
  const { type, validate } = definition as { type?: string, validate?: unknown }
  return validate === undefined || type === 'number' ? undefined : toCheck(validate)
}

/**
 * The number formats, as bounds of whole numbers. As in ajv-formats, `int64` accepts every whole number, and `float`
 * and `double` accept every number.
 */
export const numberFormats: ReadonlyMap<string, { min: number, max: number }> = new Map([
  ['int32', { min: -(2 ** 31), max: 2 ** 31 - 1 }],
  ['int64', { min: -Infinity, max: Infinity }]
])

/**
 * An expression that all strings of a format match. It may match more, and suffices to prove that formats or bounds
 * exclude each other.
 */
export const formatPatterns: ReadonlyMap<string, string> = new Map([
  ['date', '^\\d{4}-[01]\\d-[0-3]\\d$'],
  ['time', '^\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?([zZ]|[+-]\\d\\d(:?\\d\\d)?)$'],
  ['iso-time', '^\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?([zZ]|[+-]\\d\\d(:?\\d\\d)?)?$'],
  ['date-time', '^\\d{4}-[01]\\d-[0-3]\\d[tT\\s]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?([zZ]|[+-]\\d\\d(:?\\d\\d)?)$'],
  ['iso-date-time', '^\\d{4}-[01]\\d-[0-3]\\d[tT\\s]\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?([zZ]|[+-]\\d\\d(:?\\d\\d)?)?$'],
  ['duration', '^P[0-9YMDTHSW]+$'],
  ['uuid', '^([uU][rR][nN]:[uU][uU][iI][dD]:)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'],
  ['ipv4', '^\\d{1,3}(\\.\\d{1,3}){3}$'],
  ['ipv6', '^[0-9a-fA-F:.]{2,45}$'],
  ['email', '^("[ -~]*"|[^@\\s"]+)@([a-zA-Z0-9.-]+|\\[[a-fA-F0-9IPVipv:.]+\\])$'],
  ['hostname', '^[a-zA-Z0-9.\\u017F\\u212A-]{1,254}$'],
  ['uri', '^[a-zA-Z\\u017F\\u212A][a-zA-Z0-9+.\\u017F\\u212A-]*:[^\\s]*$'],
  ['uri-reference', '^[^\\s]*$'],
  ['json-pointer', '^(/[^]*)?$'],
  ['byte', '[^]*']
])

/** `[a, b]`: every string of format `a` also has format `b`. */
const includedFormats: readonly (readonly [string, string])[] = [
  ['date-time', 'iso-date-time'],
  ['time', 'iso-time'],
  ['ipv4', 'hostname'],
  ['date', 'hostname'],
  ['uri', 'uri-reference']
]
export function isPartOf (format: string, other: string): boolean {
  return format === other || includedFormats.some(([a, b]) => a === format && b === other)
}

/** Strings of each format, to try where only the check of the format can decide. */
export const formatSamples: ReadonlyMap<string, readonly string[]> = new Map([
  ['date', ['2024-02-29', '1999-12-31']],
  ['time', ['12:30:45Z', '23:59:60Z', '01:02:03.004+05:30']],
  ['iso-time', ['12:30:45', '12:30:45Z']],
  ['date-time', ['2024-02-29T12:30:45Z', '1999-12-31t23:59:60.5z', '2001-01-01 01:02:03+01:00']],
  ['iso-date-time', ['2024-02-29T12:30:45', '2024-02-29T12:30:45Z']],
  ['duration', ['P1D', 'PT1H', 'P3Y6M4DT12H30M5S', 'P2W']],
  ['uuid', ['123e4567-e89b-12d3-a456-426614174000', 'urn:uuid:123E4567-E89B-12D3-A456-426614174000']],
  ['ipv4', ['192.0.2.1', '0.0.0.0', '255.255.255.255']],
  ['ipv6', ['2001:db8::1', '::', '::ffff:192.0.2.1']],
  ['email', ['a@example.com', 'a.b+c@x.io', '"a b"@example.com', 'a@[192.0.2.1]']],
  ['hostname', ['example.com', 'a', 'localhost', '1']],
  ['uri', ['https://example.com/a?b=c#d', 'a:b', 'urn:a:b', 'mailto:a@example.com']],
  ['uri-reference', ['', 'a', '/a/b?c', '#d', 'https://example.com/', '//a']],
  ['url', ['https://example.com/a', 'http://example.com', 'ftp://example.com']],
  ['uri-template', ['', 'a', '/a/{b}', '{?c*}']],
  ['json-pointer', ['', '/a/b', '/a~1b']],
  ['json-pointer-uri-fragment', ['#', '#/a']],
  ['relative-json-pointer', ['0', '1/a', '0#']],
  ['regex', ['a', '^a+$', '', '.']],
  ['byte', ['', 'QUJD', 'QQ==']]
])
