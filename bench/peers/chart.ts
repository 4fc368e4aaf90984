/* Draws a bar chart as SVG. It needs no colour to be read: every bar has its name and its value as text. */

export interface Bar { name: string, value: number, text: string, isOurs: boolean }

export interface Chart { title: string, description: string, bars: readonly Bar[] }

const width = 760
const nameWidth = 320
const textWidth = 90
const barHeight = 18
const rowHeight = 30
const top = 44
const barMax = width - nameWidth - textWidth

/** Colours with a contrast of at least 4.5 for text and 3 for bars, on a light and on a dark page. */
const style = `
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1b1b1b }
  .title { font-weight: 600; font-size: 15px }
  .page { fill: #ffffff }
  .peer { fill: #767676 }
  .ours { fill: #0066c0 }
  .axis { stroke: #767676 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e7e7e7 }
    .page { fill: #0f0f0f }
    .peer { fill: #8c8c8c }
    .ours { fill: #4eb3ec }
    .axis { stroke: #8c8c8c }
  }
`

/** Returns the chart as an SVG document. */
export function drawChart ({ title, description, bars }: Chart): string {
  const highest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE)
  const height = top + bars.length * rowHeight + 8
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"` +
      ' role="img" aria-labelledby="title description">',
    `<title id="title">${escape(title)}</title>`,
    `<desc id="description">${escape(description)}</desc>`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    `<text class="title" x="8" y="24">${escape(title)}</text>`,
    ...bars.flatMap(({ name, value, text, isOurs }, i) => {
      const y = top + i * rowHeight
      const length = Number((value / highest * barMax).toFixed(1))
      return [
        `<text x="${nameWidth - 8}" y="${y + 14}" text-anchor="end">${escape(name)}</text>`,
        `<rect class="${isOurs ? 'ours' : 'peer'}" x="${nameWidth}" y="${y}" width="${length}" height="${barHeight}"/>`,
        `<text x="${nameWidth + length + 6}" y="${y + 14}">${escape(text)}</text>`
      ]
    }),
    `<line class="axis" x1="${nameWidth}" y1="${top - 6}" x2="${nameWidth}" y2="${height - 8}"/>`,
    '</svg>',
    ''
  ].join('\n')
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escape = (text: string) => text.replace(/[&<>"]/g, one => entities[one] ?? one)
