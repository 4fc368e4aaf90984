import { RealtimeError } from '@realtime-platform/client'
import { Download } from 'lucide-react'
import { useRef, useState } from 'react'
import { read } from '../app/api.ts'
import { Button } from '../components/button.tsx'
import type { Column } from '../components/data-list.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { exportRows } from '../components/export.ts'
import { Menu, MenuItem, MenuLabel } from '../components/menu.tsx'
import { showToast } from '../components/toast.tsx'
import type { AuditQuery, Entry } from './entries.tsx'

/** Exports every entry of the filter: it walks the pages of the list, shows the progress, and can be cancelled. */
export function ExportFilter ({ query, columns }: { query: AuditQuery; columns: readonly Column<Entry>[] }) {
  const [count, setCount] = useState<number | null>(null)
  const running = useRef<AbortController | null>(null)

  async function run (format: 'csv' | 'ndjson'): Promise<void> {
    const controller = new AbortController()
    running.current = controller
    setCount(0)
    try {
      const rows: Entry[] = []
      for (let cursor: string | undefined; ;) {
        const page = { ...query, limit: 1000, ...(cursor !== undefined && { cursor }) }
        const { data, headers } = await read(null, '/api/admin/audit', { query: page }, controller.signal)
        rows.push(...data)
        setCount(rows.length)
        cursor = headers.get('x-next-cursor') ?? undefined
        if (cursor === undefined) break
      }
      exportRows('audit', format, rows, columns)
      showToast({ text: `${rows.length} entries exported` })
    } catch (error) {
      if (!controller.signal.aborted && error instanceof RealtimeError) {
        showToast({ text: `The export failed: ${error.message}`, error })
      }
    } finally {
      setCount(null)
    }
  }
  const start = (format: 'csv' | 'ndjson') => {
    void run(format)
  }
  const cancel = () => running.current?.abort()
  return (
    <>
      <Menu trigger={<Button icon={<Download size={14} aria-hidden />}>Export filter</Button>}>
        <MenuLabel>Every entry of the filter and range</MenuLabel>
        <MenuItem onSelect={() => start('csv')}>CSV</MenuItem>
        <MenuItem onSelect={() => start('ndjson')}>NDJSON</MenuItem>
      </Menu>
      <Dialog title='Exporting' isOpen={count !== null} onClose={cancel} width='max-w-sm'>
        <p role='status'>{count ?? 0} entries read</p>
        <Buttons>
          <Button onClick={cancel}>Cancel</Button>
        </Buttons>
      </Dialog>
    </>
  )
}
