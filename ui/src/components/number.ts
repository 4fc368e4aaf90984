const whole = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** `1,204`. */
export const formatCount = (value: number): string => whole.format(value)

/** `1.2K`, for places where a digit more does not matter. */
export const formatShort = (value: number): string => short.format(value)

/** `0.4`, `12.5`, `1,204`: rates and latencies. */
export const formatMeasure = (value: number): string =>
  value === 0
    ? '0'
    : Math.abs(value) < 1
      ? value.toFixed(2)
      : Math.abs(value) < 100
        ? value.toFixed(1)
        : whole.format(Math.round(value))

/** `99.2 %` of a share between 0 and 1. */
export const formatShare = (share: number): string => `${(share * 100).toFixed(share > 0.999 && share < 1 ? 2 : 1)} %`

const sizes = ['B', 'kB', 'MB', 'GB', 'TB']

/** `1.2 MB`. */
export function formatBytes (bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log(bytes) / Math.log(1000)), sizes.length - 1)
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${sizes[power]}`
}
