import { createRequire } from 'node:module'
import { cpus, release, totalmem, type } from 'node:os'
import type { Measurement } from './measure.ts'

const header = ['', 'work', 'platform', 'bare', 'unit', 'ratio', 'goal', '', 'range']

/** Returns a Markdown table, which a terminal shows as well. */
export function toTable (measured: readonly Measurement[]): string {
  const lines = [header, ...measured.map(toCells)]
  const widths = header.map((_, column) => Math.max(...lines.map(cells => cells[column]?.length ?? 0)))
  const [first, ...rest] = lines.map(cells =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  )
  return [first, `|${widths.map(width => '-'.repeat(width + 2)).join('|')}|`, ...rest, ''].join('\n')
}

function toCells (one: Measurement): string[] {
  const { goal, ratio } = one
  const isMet = 'most' in goal
    ? one.platform <= goal.most
    : ratio !== undefined && (goal.isMost === true ? ratio <= goal.ratio : ratio >= goal.ratio)
  const wanted = 'most' in goal ? `≤ ${goal.most} ${one.unit}` : `${goal.isMost === true ? '≤' : '≥'} ${goal.ratio}×`
  return [
    one.row, one.what, number(one.platform), one.bare === undefined ? '–' : number(one.bare), one.unit,
    ratio === undefined ? '–' : `${ratio.toFixed(2)}×`, wanted, isMet ? 'met' : 'SHORT', one.note ?? ''
  ]
}

const number = (value: number) => value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)

/** Adds a description of the machine to a table. */
export function toResults (table: string, isGrowth: boolean): string {
  const require = createRequire(import.meta.url)
  const version = (name: string) => `${name} ${(require(`${name}/package.json`) as { version: string }).version}`
  const [cpu] = cpus()
  return [
    ...(isGrowth ? growthIntroduction : introduction),
    '',
    table,
    `${new Date().toISOString().slice(0, 10)} · ${type()} ${release()} · ${cpus().length} × ${cpu?.model.trim()} · ${
      Math.round(totalmem() / 2 ** 30)
    } GiB · ` +
    `Node ${process.versions.node} · PostgreSQL 18 (embedded, fsync and synchronous_commit on) · ${
      ['fastify', 'pg', 'socket.io', 'ws'].map(version).join(' · ')
    }`,
    ''
  ].join('\n')
}

const introduction = [
  '# Results',
  '',
  '`npm run bench -- --save` writes this file. Platform and counterpart run in turn on the same machine against the ' +
    'same durable',
  "PostgreSQL; the ratio is the median of the rounds' ratios, the range their extremes. Units with CPU count work " +
    'per second of',
  "the server's own CPU time, because the load generators share its cores. Both servers have the heap of `npm start`."
]

const growthIntroduction = [
  '# Growth',
  '',
  '`npm run bench -- --growth --save` writes this file: the cost of one operation as a quantity grows, on one server ' +
    'and one durable PostgreSQL.'
]
