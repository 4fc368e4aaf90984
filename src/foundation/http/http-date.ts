const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const shortDay = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const longDay = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day'
const month = `(?<month>${months.join('|')})`
const time = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)'

/** The three forms of RFC 9110 §5.6.7. All are in UTC, with or without a zone. */
const forms = [
  `^${shortDay}, (?<day>\\d\\d?) ${month} (?<year>\\d{4}) ${time}(?: (?:GMT|UTC|Z|\\+0000))?$`,
  `^${longDay}, (?<day>\\d\\d?)-${month}-(?<year>\\d\\d) ${time}(?: (?:GMT|UTC|Z|\\+0000))?$`,
  `^${shortDay} ${month} {1,2}(?<day>\\d\\d?) ${time} (?<year>\\d{4})(?: (?:GMT|UTC))?$`
].map(form => new RegExp(form, 'i'))

/** Returns an HTTP date as epoch milliseconds, or undefined for any other text. */
export function parseHttpDate (text: string, now: number): number | undefined {
  if (text.length > 40) return undefined
  for (const form of forms) {
    const fields = form.exec(text)?.groups
    if (fields !== undefined) return epochOf(fields, now)
  }
  return undefined
}

function epochOf (fields: Record<string, string>, now: number): number | undefined {
  const [day, hour, minute, second] = ['day', 'hour', 'minute', 'second'].map(name => Number(fields[name]))
  if (day === undefined || hour === undefined || minute === undefined || second === undefined) return undefined
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return undefined
  const at = new Date(0)
  at.setUTCFullYear(yearOf(fields['year'] ?? '', now), months.indexOf(fields['month']?.toLowerCase() ?? ''), day)
  if (at.getUTCDate() !== day) return undefined
  return at.setUTCHours(hour, minute, second)
}

/** Returns a two-digit year in this century, or in the last one if that is more than 50 years ahead. */
function yearOf (digits: string, now: number): number {
  if (digits.length > 2) return Number(digits)
  const thisYear = new Date(now).getUTCFullYear()
  const year = thisYear - thisYear % 100 + Number(digits)
  return year > thisYear + 50 ? year - 100 : year
}
