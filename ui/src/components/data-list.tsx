import type { RealtimeError } from '@realtime-platform/client'
import { Link, useNavigate, type LinkProps } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { clsx } from 'clsx'
import { ArrowDown, ArrowUp, Columns3, Download } from 'lucide-react'
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useObserved } from '../app/observed.ts'
import { density, recall, remember } from '../app/preferences.ts'
import { IconButton } from './button.tsx'
import { exportRows } from './export.ts'
import { Menu, MenuCheck, MenuItem, MenuLabel } from './menu.tsx'
import { ErrorState } from './states.tsx'

export interface Column<Row> {
  id: string
  header: string
  cell: (row: Row) => ReactNode
  /** A track of the grid: `8rem`, `minmax(10rem, 2fr)`. Default: `minmax(6rem, 1fr)`. */
  width?: string
  align?: 'right'
  /** The value in an export. Columns without one are left out. */
  value?: (row: Row) => unknown
  /** Whether the column is hidden until it is chosen. */
  isHidden?: boolean
  /** The name of the field by which the server sorts. */
  sort?: string
}

export interface Sorting {
  sort: string | undefined
  order: 'asc' | 'desc' | undefined
}

export interface DataListProps<Row> {
  /** Names the list: for the chosen columns, and the exported file. */
  name: string
  label: string
  /** Undefined while the first page is loading. */
  rows: readonly Row[] | undefined
  columns: readonly Column<Row>[]
  rowKey: (row: Row) => string
  /** Where a row leads: its first column is the link. */
  link?: (row: Row) => LinkProps
  /** The key of the row whose details are open. */
  openKey?: string | undefined
  /** Whether `e` stops at the row. */
  isFailure?: (row: Row) => boolean
  error?: RealtimeError | null
  onRetry?: () => void
  empty: ReactNode
  hasMore?: boolean
  isLoadingMore?: boolean
  loadMore?: () => void
  sorting?: Sorting
  onSort?: (sorting: Sorting) => void
  /** Filters, on the left above the list. `/` focuses the first input. */
  toolbar?: ReactNode
  /** Selection by `x`: keys of the selected rows. */
  selected?: ReadonlySet<string>
  onSelect?: (selected: ReadonlySet<string>) => void
}

/**
 * A list with a sticky header that renders only the rows in sight. By keyboard: `j` and `k` move, Enter opens, `x`
 * selects, `/` filters, `e` goes to the next failure, Escape closes the details.
 */
export function DataList<Row> (props: DataListProps<Row>) {
  const { name, label, rows, columns, rowKey, link, openKey, isFailure, empty, toolbar, sorting, onSort } = props
  const { error = null, hasMore = false, isLoadingMore = false, loadMore, selected, onSelect } = props
  const [shownIds, setShownIds] = useShownColumns(name, columns)
  const shown = useMemo(() => columns.filter(({ id }) => shownIds.has(id)), [columns, shownIds])
  const rowHeight = useObserved(density) === 'compact' ? 32 : 40
  const scroller = useRef<HTMLDivElement>(null)
  const bar = useRef<HTMLDivElement>(null)
  const navigate = useNavigate()
  const [current, setCurrent] = useState(-1)
  const count = rows?.length ?? 0
  const isLoading = rows === undefined && error === null
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    getItemKey: i => {
      const row = rows?.[i]
      return row === undefined ? i : rowKey(row)
    }
  })
  useEffect(() => {
    virtual.measure()
  }, [rowHeight, virtual])
  const items = virtual.getVirtualItems()
  const lastShown = items.at(-1)?.index ?? -1
  useEffect(() => {
    if (hasMore && !isLoadingMore && lastShown >= count - 20) loadMore?.()
  }, [hasMore, isLoadingMore, lastShown, count, loadMore])

  const grid = shown.map(({ width = defaultWidth }) => width).join(' ')
  const minWidth = minWidthOf(shown)

  function moveTo (i: number): void {
    if (i < 0 || i >= count) return
    setCurrent(i)
    virtual.scrollToIndex(i)
    scroller.current?.focus({ preventScroll: true })
  }

  function onKeyDown (event: KeyboardEvent): void {
    const isTyping =
      event.target instanceof HTMLElement &&
      event.target.closest('input, textarea, select, [contenteditable]') !== null
    if (isTyping || event.metaKey || event.ctrlKey || event.altKey) return
    const row = rows?.[current]
    const actions: Record<string, () => void> = {
      j: () => moveTo(current + 1),
      ArrowDown: () => moveTo(current + 1),
      k: () => moveTo(Math.max(current - 1, 0)),
      ArrowUp: () => moveTo(Math.max(current - 1, 0)),
      Home: () => moveTo(0),
      End: () => moveTo(count - 1),
      Enter: () => {
        if (row !== undefined && link !== undefined && event.target === scroller.current) void navigate(link(row))
      },
      x: () => {
        if (row === undefined || onSelect === undefined) return
        const next = new Set(selected)
        if (!next.delete(rowKey(row))) next.add(rowKey(row))
        onSelect(next)
      },
      e: () => {
        if (isFailure === undefined || rows === undefined) return
        const next = rows.findIndex((row, i) => i > current && isFailure(row))
        moveTo(next === -1 ? rows.findIndex(isFailure) : next)
      },
      '/': () => bar.current?.querySelector<HTMLElement>('input, button')?.focus()
    }
    const act = actions[event.key]
    if (act === undefined || (event.key === 'Enter' && event.target !== scroller.current)) return
    event.preventDefault()
    act()
  }

  return (
    <div className='flex min-h-0 min-w-0 flex-1 flex-col' onKeyDown={onKeyDown}>
      <div ref={bar} className='flex flex-wrap items-center gap-2 border-b border-line px-4 py-2 md:px-6'>
        {toolbar}
        <div className='ml-auto flex items-center'>
          <span className='mr-2 text-xs text-muted' role='status' aria-label={isLoading ? 'Loading' : undefined}>
            {isLoading && <span className='late'>Loading…</span>}
            {rows !== undefined && `${count}${hasMore ? '+' : ''} ${count === 1 && !hasMore ? 'row' : 'rows'}`}
          </span>
          <Menu trigger={<IconButton label='Columns' icon={<Columns3 size={15} />} />}>
            <MenuLabel>Columns</MenuLabel>
            {columns.map(({ id, header }) => (
              <MenuCheck
                key={id}
                staysOpen
                isChecked={shownIds.has(id)}
                onChange={isChecked => {
                  const next = new Set(shownIds)
                  if (isChecked) next.add(id)
                  else next.delete(id)
                  if (next.size > 0) setShownIds(next)
                }}
              >
                {header}
              </MenuCheck>
            ))}
          </Menu>
          <Menu trigger={<IconButton label='Export' icon={<Download size={15} />} />}>
            <MenuLabel>Export the rows that are loaded</MenuLabel>
            <MenuItem onSelect={() => exportRows(name, 'csv', rows ?? [], columns)}>CSV</MenuItem>
            <MenuItem onSelect={() => exportRows(name, 'ndjson', rows ?? [], columns)}>NDJSON</MenuItem>
          </Menu>
        </div>
      </div>
      {error !== null && rows === undefined
        ? (
          <ErrorState error={error} {...(props.onRetry !== undefined && { onRetry: props.onRetry })} />
          )
        : rows !== undefined && count === 0
          ? (
            <div className='overflow-auto'>{empty}</div>
            )
          : (
            <div
              ref={scroller}
              role='grid'
              aria-label={label}
              aria-rowcount={hasMore ? -1 : count + 1}
              aria-busy={rows === undefined || isLoadingMore}
              tabIndex={0}
              data-scroll-restoration-id={`list-${name}`}
              className='min-h-0 flex-1 overflow-auto'
            >
              <div role='rowgroup' className='sticky top-0 z-10 border-b border-line bg-page' style={{ minWidth }}>
                <div role='row' className='grid items-center gap-x-3 px-4 md:px-6' style={{ gridTemplateColumns: grid }}>
                  {shown.map((column, i) => (
                    <Header
                      key={column.id}
                      column={column}
                      align={alignOf(shown, i)}
                      sorting={sorting}
                      onSort={onSort}
                    />
                  ))}
                </div>
              </div>
              {rows === undefined
                ? (
                  <LoadingRows columns={shown.length} grid={grid} height={rowHeight} />
                  )
                : (
                  <div role='rowgroup' className='relative' style={{ height: virtual.getTotalSize(), minWidth }}>
                    {items.map(item => {
                      const row = rows[item.index]
                      if (row === undefined) return null
                      const key = rowKey(row)
                      return (
                        <div
                          key={item.key}
                          role='row'
                          aria-rowindex={item.index + 2}
                          aria-selected={selected === undefined ? key === openKey : selected.has(key)}
                          data-current={item.index === current || undefined}
                          className={clsx(
                            'absolute inset-x-0 grid items-center gap-x-3 border-b border-line/60 px-4 md:px-6',
                            'hover:bg-hover',
                            (key === openKey || selected?.has(key) === true) && 'bg-selected',
                            'data-[current]:shadow-[inset_2px_0_0_var(--accent)]'
                          )}
                          style={{
                            height: item.size, transform: `translateY(${item.start}px)`, gridTemplateColumns: grid
                          }}
                          onClick={event => {
                            setCurrent(item.index)
                            if (link === undefined || isInteractive(event.target)) return
                            if (getSelection()?.toString() === '') void navigate(link(row))
                          }}
                        >
                          {shown.map((column, i) => (
                            <div
                              key={column.id}
                              role='gridcell'
                              className={clsx('min-w-0 truncate', alignOf(shown, i))}
                            >
                              {i === 0 && link !== undefined
                                ? (
                                  <Link {...link(row)} className='font-medium text-text hover:underline'>
                                    {column.cell(row)}
                                  </Link>
                                  )
                                : (
                                    column.cell(row)
                                  )}
                            </div>
                          ))}
                        </div>
                      )
                    })}
                  </div>
                  )}
              {isLoadingMore && (
                <p className='px-6 py-2 text-muted' aria-hidden>
                  Loading more…
                </p>
              )}
            </div>
            )}
    </div>
  )
}

const defaultWidth = 'minmax(6rem, 1fr)'

/**
 * Returns the width below which the columns scroll: the least width of each, the gaps between them and the padding.
 * `max-content` would differ between the header and the rows, whose columns have to be in line.
 */
function minWidthOf (columns: readonly { width?: string }[]): string {
  const rems = columns.map(({ width = defaultWidth }) => Number(/([\d.]+)rem/.exec(width)?.[1] ?? 6))
  return `${rems.reduce((sum, width) => sum + width, 0) + (columns.length - 1) * 0.75 + 3}rem`
}

/** Numbers keep a distance from the text in the next column. */
function alignOf (columns: readonly { align?: 'right' }[], i: number): string {
  if (columns[i]?.align !== 'right') return ''
  const next = columns[i + 1]
  return next === undefined || next.align === 'right' ? 'text-right' : 'pr-3 text-right'
}

const isInteractive = (target: EventTarget): boolean =>
  target instanceof Element && target.closest('a, button, input, label, select, [role="menuitem"]') !== null

function Header<Row> ({
  column,
  align,
  sorting,
  onSort
}: {
  column: Column<Row>
  align: string
  sorting: Sorting | undefined
  onSort: ((sorting: Sorting) => void) | undefined
}) {
  const { header, sort } = column
  const isSorted = sort !== undefined && sorting?.sort === sort
  const look = clsx('truncate py-1.5 text-xs font-medium text-muted', align)
  if (sort === undefined || onSort === undefined) {
    return (
      <div role='columnheader' className={look}>
        {header}
      </div>
    )
  }
  const Icon = sorting?.order === 'desc' ? ArrowDown : ArrowUp
  return (
    <div
      role='columnheader'
      aria-sort={isSorted ? (sorting?.order === 'desc' ? 'descending' : 'ascending') : 'none'}
      className={look}
    >
      <button
        type='button'
        className='inline-flex items-center gap-1 hover:text-text'
        onClick={() => onSort({ sort, order: isSorted && sorting?.order !== 'desc' ? 'desc' : 'asc' })}
      >
        {header}
        {isSorted && <Icon size={12} aria-hidden />}
      </button>
    </div>
  )
}

function LoadingRows ({ columns, grid, height }: { columns: number; grid: string; height: number }) {
  return (
    <div className='late' aria-hidden>
      {Array.from({ length: 8 }, (_, i) => (
        <div key={i} className='grid items-center gap-x-3 px-4 md:px-6' style={{ gridTemplateColumns: grid, height }}>
          {Array.from({ length: columns }, (_, j) => (
            <div key={j} className='h-3 w-2/3 rounded-sm bg-hover' />
          ))}
        </div>
      ))}
    </div>
  )
}

/** The ids of the shown columns, remembered by the name of the list. */
function useShownColumns<Row> (name: string, columns: readonly Column<Row>[]) {
  const [chosen, setChosen] = useState<ReadonlySet<string> | undefined>(() => {
    const stored = recall(`columns.${name}`)
    return Array.isArray(stored) ? new Set(stored.filter(id => typeof id === 'string')) : undefined
  })
  const fallback = useMemo(
    () => new Set(columns.filter(({ isHidden }) => isHidden !== true).map(({ id }) => id)),
    [columns]
  )
  const known = chosen !== undefined && columns.some(({ id }) => chosen.has(id)) ? chosen : fallback
  return [
    known,
    (next: ReadonlySet<string>) => {
      setChosen(next)
      remember(`columns.${name}`, [...next])
    }
  ] as const
}
