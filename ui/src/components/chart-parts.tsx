import { useObserved } from '../app/observed.ts'
import { timeMode, type TimeMode } from '../app/preferences.ts'
import { csvCell, save } from './export.ts'
import { formatCount, formatMeasure } from './number.ts'
import { formatTime } from './time.tsx'

/** Lines differ by colour and by their dashes. */
export const chartColours = ['--accent', '--warning', '--critical', '--ok', '--info']
export const dashes = [[], [6, 3], [2, 3]]

const toClock = (at: number, mode: TimeMode): string => {
  const text = formatTime(at, mode === 'relative' ? 'local' : mode)
  return mode === 'epoch' ? text : text.slice(5, 16)
}

const inLegend = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : Number.isInteger(value) ? formatCount(value) : formatMeasure(value)

/** The values under the crosshair, or the last ones. Each has a fixed place, so that nothing moves with the pointer. */
export function ChartLegend ({
  names,
  values,
  unit,
  time,
  isHovered
}: {
  names: readonly string[]
  values: readonly (number | null)[]
  unit: string
  time: number | undefined
  isHovered: boolean
}) {
  const mode = useObserved(timeMode)
  return (
    <div className='flex min-h-5 flex-wrap items-center gap-x-3 pl-1 text-xs'>
      {names.map((name, i) => (
        <span key={name} className='inline-flex items-center gap-1.5 whitespace-nowrap'>
          <svg width='16' height='8' aria-hidden>
            <line
              x1='0'
              x2='16'
              y1='4'
              y2='4'
              stroke={`var(${chartColours[i % chartColours.length]})`}
              strokeWidth='2'
              strokeDasharray={dashes[i % dashes.length]?.join(' ')}
            />
          </svg>
          {name}
          <span className='inline-block min-w-12 font-medium'>
            {inLegend(values[i])}
          </span>
        </span>
      ))}
      <span className='ml-auto text-muted'>
        {time === undefined ? `No ${unit}` : isHovered ? toClock(time, mode) : `at ${toClock(time, mode)}`}
      </span>
    </div>
  )
}

/** The numbers of a chart, for reading and for export. The latest come first. */
export function ChartTable ({
  title,
  unit,
  series,
  times,
  rows
}: {
  title: string
  unit: string
  series: readonly { name: string }[]
  times: readonly number[]
  rows: readonly (readonly (number | null)[])[]
}) {
  const mode = useObserved(timeMode)
  const order = times.map((_, i) => times.length - 1 - i)
  const exportCsv = () => {
    const lines = [
      ['time', ...series.map(({ name }) => `${name} (${unit})`)],
      ...times.map((at, i) => [new Date(at).toISOString(), ...rows.map(row => row[i])])
    ]
    save(`${title}.csv`, lines.map(line => `${line.map(csvCell).join(',')}\n`).join(''), 'text/csv')
  }
  return (
    <>
      <div tabIndex={0} role='region' aria-label={`${title}, table`} className='h-40 overflow-auto'>
        <table className='w-full text-xs'>
          <thead className='sticky top-0 bg-surface'>
            <tr>
              <th className='text-left font-medium text-muted'>Time</th>
              {series.map(({ name }) => (
                <th key={name} className='px-2 text-right font-medium text-muted'>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {order.map(i => (
              <tr key={times[i]}>
                <td className='whitespace-nowrap'>
                  {formatTime(times[i] ?? 0, mode === 'relative' ? 'local' : mode).slice(0, 19)}
                </td>
                {rows.map((row, j) => (
                  <td key={j} className='px-2 text-right'>
                    {row[i] === null || row[i] === undefined ? '–' : formatMeasure(row[i])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className='flex min-h-5 items-center justify-between text-xs text-muted'>
        “–”: no node reported
        <button type='button' className='rounded-sm px-1 hover:text-text' onClick={exportCsv}>
          Export CSV
        </button>
      </p>
    </>
  )
}
