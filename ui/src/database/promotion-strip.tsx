import { clsx } from 'clsx'
import { ArrowRight } from 'lucide-react'
import { useState } from 'react'
import { environments, type DataOf, type Environment } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import type { ItemOf } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { Badge } from '../components/badge.tsx'
import { EnableButton } from './enabling.tsx'
import { PromoteDialog } from './promote-dialog.tsx'

export type Status = ItemOf<DataOf<'/api/database/mappings/status'>>

export const dots: Record<Environment, string> = {
  development: 'bg-development',
  staging: 'bg-staging',
  production: 'bg-production'
}

/** The environments with the version that each runs, from development to production. */
export function PromotionStrip ({ status }: { status: Status }) {
  const may = useMay()
  const [from, setFrom] = useState<Environment>()
  const target = from === undefined ? undefined : environments[environments.indexOf(from) + 1]
  return (
    <div className='grid gap-2 lg:grid-cols-[minmax(0,1fr)_auto_minmax(0,1fr)_auto_minmax(0,1fr)] lg:items-stretch'>
      {environments.map((environment, i) => {
        const next = environments[i + 1]
        const isSource = status.environment === environment || status.environments[environment]?.version != null
        return (
          <div key={environment} className='contents'>
            <Place status={status} environment={environment} />
            {next !== undefined && (
              <div className='flex items-center justify-center gap-1 lg:flex-col'>
                <ArrowRight size={16} className='text-muted max-lg:rotate-90' aria-hidden />
                {may('mappings:update') && isSource && next !== status.environment && (
                  <Button onClick={() => setFrom(environment)}>Promote to {next}</Button>
                )}
              </div>
            )}
          </div>
        )
      })}
      {from !== undefined && target !== undefined && (
        <PromoteDialog key={from} status={status} from={from} to={target} onClose={() => setFrom(undefined)} />
      )}
    </div>
  )
}

function Place ({ status, environment }: { status: Status; environment: Environment }) {
  const place = status.environments[environment]
  const isHome = status.environment === environment
  const isThere = isHome || (place !== undefined && place.version !== null)
  return (
    <section aria-label={environment} className='grid content-start gap-2 rounded border border-line bg-surface p-3'>
      <div className='flex flex-wrap items-center justify-between gap-2'>
        <h3 className='flex items-center gap-2 font-medium'>
          <span className={clsx('size-2 rounded-full', dots[environment])} aria-hidden />
          {environment}
          {isHome && <span className='text-xs font-normal text-muted'>home</span>}
        </h3>
        {place !== undefined && isThere && (
          <Badge tone={place.active ? 'ok' : 'neutral'}>{place.active ? 'enabled' : 'disabled'}</Badge>
        )}
      </div>
      <p className='text-muted'>{place === undefined ? 'You may not see it' : runsWords(status, environment)}</p>
      {place !== undefined && isThere && (
        <div>
          <EnableButton
            mappingId={status.id}
            topic={status.topic}
            environment={environment}
            isActive={place.active}
            kind={isHome ? 'primary' : 'normal'}
          />
        </div>
      )}
    </section>
  )
}

/** The version that an environment runs, in words. */
export function runsWords (
  { environment: home, changed, environments: grid }: Status,
  environment: Environment
): string {
  const version = grid[environment]?.version ?? null
  if (environment !== home) return version === null ? 'Not promoted yet' : `Version ${version}`
  if (version === null) return 'Working copy, no version yet'
  return changed ? `Working copy, edited since version ${version}` : `Version ${version}`
}

/** Whether an environment runs something else than the home environment. */
export function isDifferent (status: Status, environment: Environment): boolean {
  const version = status.environments[environment]?.version ?? null
  return (
    environment !== status.environment &&
    version !== null &&
    (status.changed || version !== status.environments[status.environment]?.version)
  )
}
