/**
 * Joins metrics in Prometheus' text format, each with the name of the worker that they are from. The lines of a metric
 * must stand together (https://prometheus.io/docs/instrumenting/exposition_formats/), so the texts cannot follow each
 * other.
 */
export function joinMetrics (texts: ReadonlyMap<string, string>): string {
  const metrics = new Map<string, { head: string[], series: string[] }>()
  for (const [worker, text] of texts) {
    let metric: { head: string[], series: string[] } | undefined
    for (const line of text.split('\n')) {
      if (line.startsWith('# HELP ')) {
        const name = line.split(' ', 3)[2] ?? ''
        metric = metrics.get(name)
        if (metric === undefined) metrics.set(name, metric = { head: [line], series: [] })
      } else if (line.startsWith('# ')) {
        if (metric !== undefined && metric.head.length === 1) metric.head.push(line)
      } else if (line !== '') {
        metric?.series.push(labelled(line, worker))
      }
    }
  }
  return `${[...metrics.values()].map(({ head, series }) => [...head, ...series].join('\n')).join('\n\n')}\n`
}

/** Adds the label `worker` to a series. */
function labelled (line: string, worker: string): string {
  const end = line.search(/[{ ]/)
  const name = line.slice(0, end)
  return line[end] === '{'
    ? `${name}{worker="${worker}",${line.slice(end + 1)}`
    : `${name}{worker="${worker}"}${line.slice(end)}`
}
