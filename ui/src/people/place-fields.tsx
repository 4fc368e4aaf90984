import { useGlobal } from '../app/queries.ts'
import { Select, SelectField, type Choice } from '../components/field.tsx'
import { useApplications, useReach, type Role } from './names.ts'

/** Returns all roles, or undefined while they are loading or may not be seen. */
export const useRoles = (): Role[] | undefined =>
  useGlobal('/api/roles', { query: { limit: 1000 } }, { staleTime: 30_000 }).data

export interface RoleAndPlace {
  roleId: string
  /** The empty text stands for everywhere. */
  applicationId: string
}

/** A role, and the application that it applies to. Places without the permission are left out. */
export function RoleAndPlaceFields ({
  value,
  onChange,
  permission,
  error
}: {
  value: RoleAndPlace
  onChange: (changes: Partial<RoleAndPlace>) => void
  permission: string
  error: (field: string) => string | undefined
}) {
  const roles = useRoles() ?? []
  const places = usePlaceChoices(permission)
  const chosen = roles.find(({ id }) => id === value.roleId)
  return (
    <>
      <SelectField
        label='Role'
        choices={[
          { value: '', label: 'Choose a role' },
          ...roles.map(({ id, name }) => ({ value: id, label: name }))
        ]}
        value={value.roleId}
        error={error('roleId')}
        {...(chosen !== undefined && chosen.description !== '' && { hint: chosen.description })}
        onChange={roleId => onChange({ roleId })}
      />
      <SelectField
        label='Applies to'
        choices={places}
        value={value.applicationId}
        error={error('applicationId')}
        onChange={applicationId => onChange({ applicationId })}
      />
    </>
  )
}

/** Returns the places where the user holds a permission, to choose from. */
export function usePlaceChoices (permission: string): Choice[] {
  const applications = useApplications()
  const reach = useReach()
  return [
    ...(reach.everywhere(permission) ? [{ value: '', label: 'Every application' }] : []),
    ...applications.filter(({ id }) => reach.in(id, permission)).map(({ id, name }) => ({ value: id, label: name }))
  ]
}

/** Filters of a list of people: by role and by application. */
export function PeopleFilters ({
  role,
  application,
  onChange
}: {
  role: string | undefined
  application: string | undefined
  onChange: (changes: { role?: string | undefined; application?: string | undefined }) => void
}) {
  const roles = useRoles()
  const applications = useApplications()
  return (
    <>
      {roles !== undefined && (
        <Select
          aria-label='Role'
          className='w-40!'
          choices={[{ value: '', label: 'All roles' }, ...roles.map(({ id, name }) => ({ value: id, label: name }))]}
          value={role ?? ''}
          onChange={value => onChange({ role: value === '' ? undefined : value })}
        />
      )}
      {applications.length > 0 && (
        <Select
          aria-label='Application'
          className='w-44!'
          choices={[
            { value: '', label: 'All applications' },
            ...applications.map(({ id, name }) => ({ value: id, label: name }))
          ]}
          value={application ?? ''}
          onChange={value => onChange({ application: value === '' ? undefined : value })}
        />
      )}
    </>
  )
}
