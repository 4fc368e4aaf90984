import type { Column } from './data-list.tsx'

/** Saves rows as a file: a table for spreadsheets, or one JSON object a line. */
export function exportRows<Row> (
  name: string,
  format: 'csv' | 'ndjson',
  rows: readonly Row[],
  columns: readonly Column<Row>[]
): void {
  const exported = columns.filter(({ value }) => value !== undefined)
  const valuesOf = (row: Row) => exported.map(({ value }) => value?.(row) ?? null)
  const lines =
    format === 'csv'
      ? [exported.map(({ header }) => csvCell(header)), ...rows.map(row => valuesOf(row).map(csvCell))].map(cells =>
          cells.join(',')
        )
      : rows.map(row => JSON.stringify(Object.fromEntries(exported.map(({ id }, i) => [id, valuesOf(row)[i]]))))
  save(
    `${name}.${format}`,
    lines.map(line => `${line}\n`).join(''),
    format === 'csv' ? 'text/csv' : 'application/x-ndjson'
  )
}

/** Quotes a cell by RFC 4180. A spreadsheet must not take a value for a formula, so such a value gets an apostrophe. */
export function csvCell (value: unknown): string {
  const text =
    value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
  const safe = typeof value !== 'number' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export function save (name: string, content: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
