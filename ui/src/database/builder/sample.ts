import { useMemo } from 'react'
import { useMay } from '../../app/me.ts'
import { useGet } from '../../app/queries.ts'
import type { Table } from '../table-names.ts'
import { kindOf, type Kind } from './column-kinds.ts'

export type SampleRow = Record<string, unknown>

export interface Sample {
  rows: readonly SampleRow[]
  /** Whether the rows come from the table. */
  isReal: boolean
  /** Why they do not. */
  reason: string | undefined
  isLoading: boolean
  reload: () => void
}

/** Returns rows of the table to try the mapping on: real ones, or one that is made up from the types. */
export function useSample (name: string, table: Table | undefined): Sample {
  const may = useMay()('mappings:create')
  const { data, error, isFetching, refetch } = useGet(
    '/api/database/tables/sample',
    { query: { table: name } },
    {
      enabled: may && table !== undefined,
      staleTime: 30_000
    }
  )
  const madeUp = useMemo(() => [table === undefined ? {} : madeUpRow(table)], [table])
  const isReal = data !== undefined && data.rows.length > 0 && table !== undefined
  return {
    rows: isReal ? data.rows : madeUp,
    isReal,
    reason:
      isReal || table === undefined
        ? undefined
        : !may
            ? 'Your roles do not allow you to see rows, so this one is made up.'
            : error !== null
              ? `${error.message} This row is made up.`
              : data !== undefined
                ? 'The table is empty, so this row is made up.'
                : undefined,
    isLoading: isFetching && data === undefined,
    reload: () => {
      void refetch()
    }
  }
}

const examples: Record<Kind, unknown> = {
  number: 1,
  text: 'text',
  boolean: true,
  date: '2026-01-15',
  timestamp: '2026-01-15T10:00:00',
  instant: '2026-01-15T10:00:00Z',
  json: {},
  unknown: 'text'
}

const madeUpRow = (table: Table): SampleRow =>
  Object.fromEntries(
    table.columns
      .filter(({ generated }) => !generated)
      .map(({ name, type }) => [name, type.endsWith('[]') ? [] : type === 'uuid' ? noId : examples[kindOf(type)]])
  )

const noId = '00000000-0000-4000-8000-000000000000'
