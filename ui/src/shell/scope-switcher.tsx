import { useNavigate, useRouter } from '@tanstack/react-router'
import { ChevronDown } from 'lucide-react'
import { useEffect } from 'react'
import { environments } from '../app/api.ts'
import { useApplications } from '../app/applications.ts'
import { rememberScope, scopePath, useScope } from '../app/scope.ts'
import { Menu, MenuCheck, MenuItem, MenuLabel, MenuSeparator } from '../components/menu.tsx'
import { barButton } from './bar-button.ts'

const dots = { development: 'bg-development', staging: 'bg-staging', production: 'bg-production' }

/**
 * Switches the application and the environment, and stays in the section that is shown. Where none has been shown yet,
 * it chooses the first application.
 */
export function ScopeSwitcher () {
  const scope = useScope()
  const applications = useApplications().data ?? []
  const navigate = useNavigate()
  const router = useRouter()
  const first = applications[0]?.id
  useEffect(() => {
    if (scope === null && first !== undefined) rememberScope({ applicationId: first, environment: 'development' })
  }, [scope, first])
  if (scope === null) return null
  const name = applications.find(({ id }) => id === scope.applicationId)?.name ?? scope.applicationId
  const open = (applicationId: string, environment: string) => {
    const [, section = ''] = /^\/a\/[^/]+\/[^/]+(\/[^/]+)/.exec(router.state.location.pathname) ?? []
    void navigate({ to: `${scopePath}${section}`, params: { applicationId, environment }, search: {} })
  }
  return (
    <>
      <Menu
        align='start'
        trigger={
          <button type='button' className={barButton} aria-label={`Application: ${name}`}>
            <span className='truncate font-medium'>{name}</span>
            <ChevronDown size={14} className='shrink-0 text-muted' aria-hidden />
          </button>
        }
      >
        <MenuLabel>Application</MenuLabel>
        {applications.map(({ id, name }) => (
          <MenuCheck key={id} isChecked={id === scope.applicationId} onChange={() => open(id, scope.environment)}>
            <span className='max-w-80 truncate'>{name}</span>
          </MenuCheck>
        ))}
        <MenuSeparator />
        <MenuItem
          onSelect={() => {
            void navigate({ to: '/applications' })
          }}
        >
          All applications
        </MenuItem>
      </Menu>
      <Menu
        align='start'
        trigger={
          <button type='button' className={barButton} aria-label={`Environment: ${scope.environment}`}>
            <span className={`size-2 shrink-0 rounded-full ${dots[scope.environment]}`} aria-hidden />
            <span className={scope.environment === 'production' ? 'font-medium text-critical' : ''}>
              {scope.environment}
            </span>
            <ChevronDown size={14} className='shrink-0 text-muted max-sm:hidden' aria-hidden />
          </button>
        }
      >
        <MenuLabel>Environment</MenuLabel>
        {environments.map(environment => (
          <MenuCheck
            key={environment}
            isChecked={environment === scope.environment}
            onChange={() => open(scope.applicationId, environment)}
          >
            <span className={`size-2 rounded-full ${dots[environment]}`} aria-hidden />
            {environment}
          </MenuCheck>
        ))}
      </Menu>
    </>
  )
}
