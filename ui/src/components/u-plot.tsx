import { useEffect, useMemo, useRef, useState } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useObserved } from '../app/observed.ts'
import { timeMode } from '../app/preferences.ts'
import { chartColours, ChartLegend, ChartTable, dashes } from './chart-parts.tsx'
import { useIsDark } from './is-dark.ts'
import { formatMeasure, formatShort } from './number.ts'
import { formatTime } from './time.tsx'

export interface Series {
  name: string
  points: readonly (readonly [at: number, value: number | null])[]
}

export interface ChartProps {
  title: string
  unit: string
  series: readonly Series[]
  /** The range of the axis, in epoch milliseconds. */
  from: number
  to: number
  height?: number
  /** Charts with the same name share their crosshair. */
  group?: string
}

/** Lines over time from zero, with gaps where nothing was reported, and a table of the same numbers. */
export function UPlotChart ({ title, unit, series, from, to, height = 160, group }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(null)
  const range = useRef({ from, to })
  const [isTable, setTable] = useState(false)
  const [hovered, setHovered] = useState<number | null>(null)
  const isDark = useIsDark()
  const isUtc = ['utc', 'epoch'].includes(useObserved(timeMode))
  const { times, rows } = useMemo(() => align(series), [series])
  const names = series.map(({ name }) => name).join('\n')
  const latest = useRef<UPlot.AlignedData>([[]])
  latest.current = [times.map(at => at / 1000), ...rows]
  range.current = { from, to }

  useEffect(() => {
    const element = place.current
    if (element === null) return
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif'
    }
    const created = new UPlot(
      {
        width: element.clientWidth,
        height,
        padding: [8, 8, 0, 0],
        ...(isUtc && { tzDate: (seconds: number) => UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') }),
        scales: {
          x: { range: () => [range.current.from / 1000, range.current.to / 1000] },
          y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] }
        },
        axes: [
          {
            ...axis,
            space: 64,
            size: 28,
            values: (_plot, splits, _axis, _space, step) => splits.map(at => toTick(at, step, isUtc))
          },
          { ...axis, size: 48, space: 32, values: (_plot, values) => values.map(formatTick) }
        ],
        series: [
          {},
          ...names.split('\n').map((label, i) => ({
            label,
            stroke: colour(chartColours[i % chartColours.length] ?? ''),
            width: 1.5,
            spanGaps: false,
            dash: dashes[i % dashes.length] ?? [],
            points: { show: true, size: 4, filter: isolated }
          }))
        ],
        cursor: {
          ...(group !== undefined && { sync: { key: group } }),
          drag: { x: false, y: false },
          points: { size: 6 }
        },
        hooks: { setCursor: [plot => setHovered(plot.cursor.idx ?? null)] },
        legend: { show: false }
      },
      latest.current,
      element
    )
    plot.current = created
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) created.setSize({ width: element.clientWidth, height })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.current = null
      created.destroy()
    }
  }, [names, height, group, isDark, isUtc])

  const signature = JSON.stringify([rows, times, from, to])
  useEffect(() => {
    plot.current?.setData(latest.current)
  }, [signature])

  /** Moves the crosshair by keyboard, in every chart of the group. */
  function moveTo (next: number): void {
    const current = plot.current
    if (current === null || times.length === 0) return
    const i = Math.min(Math.max(next, 0), times.length - 1)
    const left = current.valToPos((times[i] ?? 0) / 1000, 'x')
    current.setCursor({ left, top: height / 2 }, true)
  }
  const at = hovered ?? lastReported(rows)
  return (
    <figure className='min-w-0'>
      <figcaption className='flex items-center justify-between gap-2'>
        <span className='min-w-0 truncate font-medium'>
          {title} <span className='font-normal text-muted'>{unit}</span>
        </span>
        <button
          type='button'
          className='rounded-sm px-1 text-xs text-muted hover:text-text'
          aria-pressed={isTable}
          aria-label={`${title} as a table`}
          onClick={() => setTable(!isTable)}
        >
          {isTable ? 'Chart' : 'Table'}
        </button>
      </figcaption>
      <div className={isTable ? 'hidden' : 'min-w-0 overflow-hidden'}>
        <div
          ref={place}
          role='img'
          tabIndex={0}
          aria-label={`${title} in ${unit}, as a chart. The arrow keys move the crosshair.`}
          onKeyDown={event => {
            const last = times.length - 1
            const steps: Record<string, number> = {
              ArrowLeft: (hovered ?? last + 1) - 1,
              ArrowRight: (hovered ?? last - 1) + 1,
              Home: 0,
              End: last
            }
            const next = steps[event.key]
            if (next === undefined) return
            event.preventDefault()
            moveTo(next)
          }}
          onBlur={() => plot.current?.setCursor({ left: -10, top: -10 }, true)}
        />
        <ChartLegend
          unit={unit}
          names={series.map(({ name }) => name)}
          time={times[at]}
          isHovered={hovered !== null}
          values={rows.map(row => row[at] ?? null)}
        />
      </div>
      {isTable && <ChartTable title={title} unit={unit} series={series} times={times} rows={rows} />}
    </figure>
  )
}

/** Brings the series to the same times. */
function align (series: readonly Series[]): { times: number[]; rows: (number | null)[][] } {
  const times = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b)
  const rows = series.map(({ points }) => {
    const byTime = new Map(points)
    return times.map(at => byTime.get(at) ?? null)
  })
  return { times, rows }
}

const formatTick = (value: number): string =>
  value >= 10_000 ? formatShort(value) : Number.isInteger(value) ? String(value) : formatMeasure(value)

/** `14:05`, or at midnight and for steps of days, `11-30`. */
function toTick (seconds: number, step: number, isUtc: boolean): string {
  const text = formatTime(seconds * 1000, isUtc ? 'utc' : 'local')
  const clock = text.slice(11, 16)
  return step >= 86_400 || clock === '00:00' ? text.slice(5, 10) : clock
}

const lastReported = (rows: readonly (readonly (number | null)[])[]): number =>
  Math.max(0, ...rows.map(row => row.findLastIndex(value => value !== null)))

/** A value between two gaps makes no line: it is shown as a point. */
function isolated (plot: UPlot, seriesIdx: number): number[] {
  const values = plot.data[seriesIdx] ?? []
  const shown: number[] = []
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) shown.push(i)
  }
  return shown
}
