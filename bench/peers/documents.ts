import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawChart, type Chart } from './chart.ts'
import type { Contest, Entry, Losses, Results, Speed, Spread } from './results.ts'

/* Everything that shows the results is made of bench/results/peers.json, so that no figure is written by hand. */

export const resultsPath = 'bench/results/peers.json'
const tablesPath = 'bench/PEERS.md'
const pagePath = 'docs/PERFORMANCE.md'

export const readResults = (root: string): Results =>
  JSON.parse(readFileSync(join(root, resultsPath), 'utf8')) as Results

/** Returns the text of every file that is made of the results as a whole, by its path. */
export function filesOf (results: Results): Map<string, string> {
  return new Map([
    [tablesPath, toPage(results)],
    ...results.contests.flatMap(chartsOf).map(({ path, chart }) => [path, drawChart(chart)] as const)
  ])
}

/** Returns the generated parts of docs/PERFORMANCE.md by their names. */
export function partsOf (results: Results): Map<string, string> {
  return new Map([
    ['machine', toMachine(results)],
    ...results.contests.map(contest => [
      contest.id,
      [
        ...chartsOf(contest).map(({ path, chart }) => `![${chart.title}](${path.slice('docs/'.length)})`),
        toTable(contest)
      ].join('\n\n')
    ] as const)
  ])
}

/** Writes the results and everything that is made of them. */
export function writeDocuments (root: string, results: Results): void {
  writeFileSync(join(root, resultsPath), `${JSON.stringify(results, null, 2)}\n`)
  for (const [path, text] of filesOf(results)) writeFileSync(join(root, path), text)
  const path = join(root, pagePath)
  let page = readFileSync(path, 'utf8')
  for (const [name, text] of partsOf(results)) page = page.replace(partPattern(name), () => `${text}\n`)
  writeFileSync(path, page)
}

const partPattern = (name: string) => new RegExp(`(?<=<!-- generated: ${name} -->\n)([\\s\\S]*?)(?=<!-- end -->)`)

/** Returns the table of a contest in Markdown, which a terminal shows as well. */
export function toTable (contest: Contest): string {
  const { entries, skipped } = contest
  const table = entries.some(({ speed }) => speed !== undefined) ? speedTable(contest) : lossTable(contest)
  const notes = [
    ...skipped.map(({ name, reason }) => `${name} is missing: ${reason}.`),
    `${entries.some(({ speed }) => speed !== undefined) ? `Medians of ${contest.rounds} rounds` : runsOf(contest)}, ` +
      `${contest.measuredAt.slice(0, 16).replace('T', ' ')} UTC. Load average of the minute before: ` +
      `${contest.loadBefore}, at the end: ${contest.loadAfter}.`
  ]
  return [...table, '', notes.join('\n')].join('\n')
}

const runsOf = ({ rounds }: Contest) => rounds === 1 ? 'One run' : `Sum of ${rounds} runs`

function speedTable ({ entries, unit }: Contest): string[] {
  const rows: string[][] = []
  for (const { speed, ...entry } of entries) {
    if (speed === undefined) continue
    const { perSecond, ratio, perCpuSecond, cpuRatio } = speed
    rows.push([
      nameOf(entry), number(perSecond), spread(ratio), number(perCpuSecond), spread(cpuRatio), entry.promise
    ])
  }
  return markdown(['server', unit, 'relative', 'per CPU second', 'relative', 'promise'], rows)
}

function lossTable ({ entries, unit }: Contest): string[] {
  const rows: string[][] = []
  // Deliveries that run side by side have no order.
  const isKill = entries.some(({ losses }) => losses?.lastAfterMs !== undefined)
  for (const { losses, ...entry } of entries) {
    if (losses === undefined) continue
    const { expected, lost, doubled, reordered, announced, lastAfterMs = NaN } = losses
    const rest = isKill ? [`${(lastAfterMs / 1000).toFixed(1)} s`] : [number(reordered), `${number(announced)} times`]
    rows.push([nameOf(entry), number(expected), number(lost), number(doubled), ...rest, entry.promise])
  }
  const heads = isKill ? ['last one after the kill'] : ['out of order', 'loss reported']
  return markdown(['server', unit, 'lost', 'doubled', ...heads, 'promise'], rows)
}

const nameOf = ({ name, version, isOurs }: Entry) => isOurs ? name : `${name} (${version})`

const markdown = (head: string[], rows: string[][]): string[] => {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

const number = (value: number) => value >= 1000 ? Math.round(value).toLocaleString('en') : String(Math.round(value))
const times = (value: number) => value.toFixed(2)
/** The reference has no spread. */
const spread = ({ median, lowest, highest }: Spread) =>
  lowest === 1 && highest === 1 ? '1' : `${times(median)}× (${times(lowest)}–${times(highest)})`

/** A chart for each measure of a contest: speed and speed per CPU second, or what was lost and what was doubled. */
function chartsOf (contest: Contest): { path: string, chart: Chart }[] {
  const chart = (
    measure: string, title: string, value: (entry: Entry) => number | undefined, text: (value: number) => string
  ) => {
    const bars = contest.entries.flatMap(entry => {
      const found = value(entry)
      const name = entry.name.replaceAll('`', '')
      return found === undefined ? [] : [{ name, value: found, text: text(found), isOurs: entry.isOurs }]
    })
    const description = `${title}: ${bars.map(bar => `${bar.name} ${bar.text}`).join('; ')}`
    return bars.length === 0
      ? []
      : [{ path: `docs/images/peers-${contest.id}-${measure}.svg`, chart: { title, description, bars } }]
  }
  const speed = (pick: (speed: Speed) => Spread) => (entry: Entry) => entry.speed && pick(entry.speed).median
  const losses = (pick: (losses: Losses) => number) => (entry: Entry) => entry.losses && pick(entry.losses)
  const relative = (value: number) => `${times(value)}×`
  return [
    ...chart('speed', `${contest.title}, relative`, speed(({ ratio }) => ratio), relative),
    ...chart('cpu', `${contest.title}, per CPU second, relative`, speed(({ cpuRatio }) => cpuRatio), relative),
    ...chart('lost', `${contest.title}: lost`, losses(({ lost }) => lost), number),
    ...chart('doubled', `${contest.title}: doubled`, losses(({ doubled }) => doubled), number)
  ]
}

const toMachine = ({ machine }: Results): string =>
  `${machine.cores} × ${machine.model}, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}.\n` +
  'Clients, servers and databases share the cores and one disk.'

function toPage (results: Results): string {
  return [
    '# Against peers',
    '',
    'Made by `npm run bench -- peers --save` of [results/peers.json](results/peers.json);',
    '[docs/PERFORMANCE.md](../docs/PERFORMANCE.md) explains how.',
    '',
    toMachine(results),
    ...results.contests.flatMap(contest => ['', `## ${contest.title}`, '', toTable(contest)]),
    ''
  ].join('\n')
}
