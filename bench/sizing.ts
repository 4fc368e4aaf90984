/* The figures for sizing in docs/DEPLOYMENT.md, and the rows of bench/RESULTS.md that they come from. */

export interface Size { work: string, row: string, what: string }

export const sizes: readonly Size[] = [
  { work: 'reads of single documents', row: 'read', what: 'GET one document' },
  {
    work: 'merges of documents, each durable with its event',
    row: 'merge',
    what: 'merge into a document, acknowledged when durable, with its event'
  },
  { work: 'single events published', row: 'tracing', what: 'publish, single events, all traced or none' },
  { work: 'events published in batches of 100', row: 'publish', what: 'publish, batches of 100 by REST' },
  {
    work: 'webhook deliveries, signed and logged',
    row: 'webhooks',
    what: 'webhook deliveries to one endpoint, signed and logged'
  },
  { work: 'deliveries of single events to sockets', row: 'fanout', what: 'single events to 1,000 /ws clients' },
  { work: 'deliveries of bursts to sockets', row: 'burst', what: 'batches of 20 to 1,000 /ws clients' }
]

/** Returns the platform's figure in a row of bench/RESULTS.md. */
export function measuredBy (results: string, row: string, what: string): number {
  const cells = results.split('\n').map(line => line.split('|').map(cell => cell.trim()))
    .find(([, name, work]) => name === row && work === what)
  if (cells === undefined) throw new Error(`bench/RESULTS.md has no row "${row}", "${what}"`)
  return Number(cells[3]?.replaceAll(',', ''))
}
