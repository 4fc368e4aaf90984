const browsers = [
  ['Edge', /\bEdg\/(\d+)/],
  ['Firefox', /\bFirefox\/(\d+)/],
  ['Chrome', /\b(?:Headless)?Chrome\/(\d+)/],
  ['Safari', /\bVersion\/(\d+).*Safari/],
  ['curl', /\bcurl\/(\d+)/]
] as const
const systems = [
  ['iOS', /iPhone|iPad/],
  ['Android', /Android/],
  ['Windows', /Windows/],
  ['macOS', /Mac OS X|Macintosh/],
  ['Linux', /Linux|X11/]
] as const

/** Describes a `User-Agent` in a few words, such as "Firefox 140, macOS". An unknown one is shown as it is. */
export function describeBrowser (userAgent: string | null): string {
  if (userAgent === null || userAgent === '') return 'Unknown'
  const browser = browsers.find(([, pattern]) => pattern.test(userAgent))
  if (browser === undefined) return userAgent.slice(0, 80)
  const version = browser[1].exec(userAgent)?.[1] ?? ''
  const system = systems.find(([, pattern]) => pattern.test(userAgent))
  return `${browser[0]} ${version}${system === undefined ? '' : `, ${system[0]}`}`
}
